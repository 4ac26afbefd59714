"""From Kafka records to rows, without any I/O.

Each record becomes rows of one or more tables, or a refusal (a dead letter), or has no row on
purpose (counted). Rows keep their record, so that a row ClickHouse refuses can be traced to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Final

from models.contract import Campaign, Engagement, Receipt, Send
from models.counters import decode_cell
from models.facts import micro_of
from models.keys import FORWARDED
from models.message_row import MESSAGE, MESSAGE_COLUMNS, ORPHAN, MessageRow, row_of
from models.numbers import person_of
from models.parsing import parse_campaign, parse_engagement, parse_receipt, parse_send
from models.refusal import Reason, Refusal
from models.settings import Topic
from models.state import decode, unknown_values
from models.unmatched import decode as decode_unmatched
from models.vocabulary import ReadWord
from sinks.account_rows import (
    put_account,
    put_retry_request,
    put_strike,
    put_suppression,
    put_suppression_request,
)
from sinks.dead_letters import Record, origin_of
from sinks.mapped_batch import (
    REFUSED,
    REROUTED,
    TOMBSTONE,
    MappedBatch,
    first_wins,
    found_wins,
    last_wins,
    published_at,
)
from sinks.tables import (
    CAMPAIGNS,
    COUNTERS,
    DEAD_LETTERS,
    ENGAGEMENTS,
    MESSAGES,
    ORPHANS,
    RECEIPT_EVENTS,
    TEXTS,
    UNMATCHED,
    Row,
)
from streams.kafka.reading import UnreadableRecord

#: The topics the sink reads, those of them that the installation has (`Settings.topics`). Their
#: names on the cluster may carry a prefix.
TOPICS: Final[tuple[Topic, ...]] = (
    "message-states",
    "status-counters",
    "sends",
    "receipts",
    "engagements",
    "campaigns",
    "accounts",
    "suppression-requests",
    "strikes",
    "suppressions",
    "retry-requests",
    "unmatched-receipts",
    "dead-letters",
)

#: Topics that the worker reads too: it produces the dead letters of their refused records.
REFUSED_BY_WORKER: Final[frozenset[Topic]] = frozenset(
    {"sends", "receipts", "engagements", "strikes", "suppression-requests"}
)

#: Values of `is_deleted`, the last column.
_LIVE: Final = (0,)
_DELETED: Final = (1,)
_orphan_columns: Final = attrgetter(*ORPHANS.names[:-1])
#: Where a `MessageRow` holds the columns of `messages`, in their order.
_FIRST: Final = MessageRow._fields.index(MESSAGE_COLUMNS[0].name)
_LAST: Final = _FIRST + len(MESSAGE_COLUMNS)
#: A send without these bytes has no text (the name could only be hidden by an escape).
_TEXT_KEY: Final = b'"text"'
_ESCAPE: Final = b"\\u"


def map_records(records: Mapping[Topic, Iterable[Record]], max_event_bytes: int) -> MappedBatch:
    """Map whole batches, by logical topic name.

    Never raises for a record: one that cannot be read becomes a dead letter.
    """
    mapped = MappedBatch()
    for topic, batch in records.items():
        put = _MAPPERS[topic]
        for record in batch:
            try:
                if type(record) is UnreadableRecord:
                    _put_unreadable(topic, record, mapped)
                else:
                    put(record, mapped, max_event_bytes)
            except Exception as error:  # noqa: BLE001  (one bad record must not stop its partition)
                detail = f"value: cannot be read ({type(error).__name__}: {error})"
                mapped.refused.append((record, Refusal(Reason.BAD_ROW, detail)))
    return mapped


def _put_unreadable(topic: Topic, record: UnreadableRecord, mapped: MappedBatch) -> None:
    """A record that the Kafka client cannot read: a dead letter, unless the worker produces it."""
    if topic == "dead-letters":
        _put_letter(record, mapped, 0)
    elif topic in REFUSED_BY_WORKER:
        mapped.skip(topic, REFUSED)
    else:
        mapped.refused.append((record, Refusal(Reason.UNREADABLE, record.fault)))


def _put_state(record: Record, mapped: MappedBatch, _: int) -> None:
    if record.value is None or record.key is None:
        return _skip_tombstone("message-states", record, mapped)
    state = decode(record.value)
    if unknown_values(state):
        mapped.newer["message-states"] += 1
    row = row_of(record.key, state)
    if row.kind == MESSAGE:
        mapped.rows_for(MESSAGES).add(row[_FIRST:_LAST] + _LIVE, record)
        if row.superseded or row.was_orphan:
            _put_deletes(row, record, mapped)
    elif row.kind == ORPHAN:
        mapped.rows_for(ORPHANS).add(_orphan_columns(row) + _LIVE, record)
    return None


def _put_deletes(row: MessageRow, record: Record, mapped: MappedBatch) -> None:
    """Rows that delete the message under other sort keys and among the orphans."""
    for sent_at in row.superseded:
        gone = row._replace(sent_at=sent_at)
        mapped.rows_for(MESSAGES).add(gone[_FIRST:_LAST] + _DELETED, record)
    if row.was_orphan:
        mapped.rows_for(ORPHANS).add(_orphan_columns(row) + _DELETED, record)


def _put_cell(record: Record, mapped: MappedBatch, _: int) -> None:
    if record.value is None or record.key is None:
        return _skip_tombstone("status-counters", record, mapped)
    cell = decode_cell(record.key, record.value)
    if cell is not None:
        kind, start, *dimensions, counts = cell
        mapped.rows_for(COUNTERS).add((kind, start, *dimensions, *counts), record)
    return None


def _skip_tombstone(topic: Topic, record: Record, mapped: MappedBatch) -> None:
    if record.value is not None:
        raise ValueError("the record has no key")
    mapped.skip(topic, TOMBSTONE)


def _put_text(record: Record, mapped: MappedBatch, limit: int) -> None:
    value = record.value
    if value is None or (_TEXT_KEY not in value and _ESCAPE not in value):
        return
    send = parse_send(value, record.timestamp, limit)
    if isinstance(send, Refusal):
        mapped.skip("sends", REFUSED)
    elif send.text:
        mapped.rows_for(TEXTS).add(_text(send, send.text), record)


def _text(send: Send, text: str) -> Row:
    version = first_wins(send.sent_at, text)
    place = (send.account, send.message_id, send.attempt, send.sent_at)
    return (*place, text, version, send.source)


def _put_receipt(record: Record, mapped: MappedBatch, limit: int) -> None:
    """The receipt as it came; the topic has its original and a copy that was rerouted."""
    if record.headers and any(name == FORWARDED for name, _ in record.headers):
        mapped.skip("receipts", REROUTED)
        return
    receipt = parse_receipt(record.value, record.timestamp, limit)
    if isinstance(receipt, Refusal):
        mapped.skip("receipts", REFUSED)
    else:
        mapped.rows_for(RECEIPT_EVENTS).add(_receipt(receipt, record), record)


def _receipt(event: Receipt, record: Record) -> Row:
    """By position, as engagements."""
    return (
        event.account,
        event.message_id,
        event.occurred_at,
        record.partition,
        record.offset,
        event.attempt or 0,
        event.status,
        event.bounce or "",
        event.scope or "",
        event.error_code or "",
        event.reason or "",
        event.provider or "",
        event.provider_message_id or "",
        event.recipient or "",
        event.part or 0,
        event.parts or 0,
        event.mccmnc or "",
        0 if event.price is None else micro_of(event.price),
        event.currency or "",
        event.received_at or 0,
        published_at(record),
        event.repaired,
        event.provider_status or _word_of(event.status),
    )


def _word_of(status: str) -> str:
    """The provider's word that a status was read from; "": it was ours."""
    return status.word if isinstance(status, ReadWord) else ""


def _put_unmatched(record: Record, mapped: MappedBatch, _: int) -> None:
    """A receipt without its message, or found after all."""
    if record.value is None:
        raise ValueError("the record has no value")
    known = decode_unmatched(record.value)
    content = {
        "message_id": known.message_id,
        "reported": known.reported,
        "endpoint": known.endpoint,
        "provider": known.provider,
        "provider_message_id": known.provider_message_id,
        "reference": known.reference,
        "recipient": known.recipient,
        "status": known.status,
        "provider_status": known.provider_status,
        "error_code": known.error_code,
        "error_text": known.error_text,
        "occurred_at": known.occurred_at or 0,
        "received_at": known.received_at,
    }
    row = UNMATCHED.row(
        account=known.account,
        id=known.id,
        at=known.at,
        version=found_wins(bool(known.message_id), known.at, *content.values()),
        **content,
    )
    mapped.rows_for(UNMATCHED).add(row, record)


def _put_engagement(record: Record, mapped: MappedBatch, limit: int) -> None:
    engagement = parse_engagement(record.value, record.timestamp, limit)
    if isinstance(engagement, Refusal):
        mapped.skip("engagements", REFUSED)
    else:
        mapped.rows_for(ENGAGEMENTS).add(_engagement(engagement), record)


def _engagement(event: Engagement) -> Row:
    """By position: there are many, and by name they cost half as much time again."""
    content = (
        event.message_id or "",
        event.recipient or "",
        event.campaign_id or "",
        event.link_id or "",
        event.url or "",
    )
    added = (event.channel or "", event.user_agent or "", event.automated)
    version = first_wins(event.occurred_at, event.type, *content, *added)
    place = (event.account, event.event_id, event.type, event.occurred_at)
    return (*place, *content, version, *added, person_of(event.recipient or ""))


def _put_campaign(record: Record, mapped: MappedBatch, limit: int) -> None:
    if record.value is None:
        mapped.skip("campaigns", TOMBSTONE)
        return
    campaign = parse_campaign(record.value, record.timestamp, limit)
    if isinstance(campaign, Refusal):
        mapped.refused.append((record, campaign))
    else:
        mapped.rows_for(CAMPAIGNS).add(_campaign(campaign), record)
        mapped.accept("campaigns", "campaign")
        for field in campaign.repaired:
            mapped.repaired["campaigns", field] += 1


def _campaign(campaign: Campaign) -> Row:
    content = {
        "name": campaign.name,
        "message_type": campaign.message_type or "",
        "text": campaign.text or "",
        "creator": campaign.creator or "",
        "method": campaign.method or "",
        "status": campaign.status or "",
        "target_audience": campaign.target_audience or 0,
        "audience": campaign.audience or "",
        "created_at": campaign.created_at or 0,
        "started_at": campaign.started_at or 0,
        "ended_at": campaign.ended_at or 0,
        "last_modified_by": campaign.last_modified_by or "",
    }
    return CAMPAIGNS.row(
        account=campaign.account,
        campaign_id=campaign.campaign_id,
        updated_at=campaign.updated_at,
        version=last_wins(campaign.updated_at, *content.values()),
        **content,
    )


def _put_letter(record: Record, mapped: MappedBatch, _: int) -> None:
    row = DEAD_LETTERS.row(
        **origin_of(record)._asdict(),
        key=record.key or b"",
        value=record.value or b"",
        has_key=int(record.key is not None),
        has_value=int(record.value is not None),
        dead_offset=record.offset,
        version=record.offset,
    )
    mapped.rows_for(DEAD_LETTERS).add(row, record)


_MAPPERS: Final[dict[Topic, Callable[[Record, MappedBatch, int], None]]] = {
    "message-states": _put_state,
    "status-counters": _put_cell,
    "sends": _put_text,
    "receipts": _put_receipt,
    "engagements": _put_engagement,
    "campaigns": _put_campaign,
    "accounts": put_account,
    "suppression-requests": put_suppression_request,
    "strikes": put_strike,
    "suppressions": put_suppression,
    "retry-requests": put_retry_request,
    "unmatched-receipts": _put_unmatched,
    "dead-letters": _put_letter,
}
