"""One message as people and tables see it: the columns of `messages`, and a state read as a row."""

from typing import Final, NamedTuple

from models.facts import Outcome, SendFact
from models.keys import split_key
from models.numbers import person_of
from models.outcomes import total_price
from models.state import (
    MessageState,
    attempts_of,
    delivered_at_of,
    first_clicks_of,
    is_pending,
    provider_of,
    read_at_of,
)
from models.vocabulary import COUNTS, FINAL_STATUSES, SUCCESSES, Bounce, Status

MESSAGE: Final = "message"
ORPHAN: Final = "orphan"
#: Only an engagement is known: it has its own table, so the state waits without a row.
NO_ROW: Final = "none"

_WORD: Final = "LowCardinality(String)"
_TIME: Final = "DateTime64(3, 'UTC')"


class TableColumn(NamedTuple):
    """A column of the table `messages`: its name, its ClickHouse type, its meaning.

    absent: the meaning of 0 (of a time: 1970), which views show as NULL; "": 0 is a value
    """

    name: str
    type: str
    meaning: str
    absent: str = ""


#: The columns of `messages` that are written, in the order of `MessageRow`. A new one is the last:
#: views keep the order of their columns.
MESSAGE_COLUMNS: Final = (
    TableColumn("account", _WORD, "tenant the message belongs to"),
    TableColumn("message_id", "String", "id given by the sending service, unique in its account"),
    TableColumn("channel", _WORD, "sms or whatsapp"),
    TableColumn("direction", _WORD, "outbound, or inbound for a received message"),
    TableColumn(
        "source",
        _WORD,
        "what sent it: direct, verification, open_api_direct, open_api_verification, campaign or "
        "program",
    ),
    TableColumn("sender_id", _WORD, "number or name the recipient sees as sender; empty: unknown"),
    TableColumn("sent_by", _WORD, "person or service that sent it; empty: unknown"),
    TableColumn("campaign_id", _WORD, "campaign it belongs to; empty: none"),
    TableColumn(
        "message_type",
        _WORD,
        "campaign, notification or another word of the sender; empty: unknown",
    ),
    TableColumn(
        "recipient",
        "String",
        "number of the other side, E.164; a user id of WhatsApp; of an inbound message any sender",
    ),
    TableColumn("country", _WORD, "ISO 3166-1 alpha-2 of the recipient; empty: unknown"),
    TableColumn(
        "external_id",
        "String",
        "id of the message or contact in a system of the sender; empty: none",
    ),
    TableColumn(
        "email", "String", "e-mail address of the recipient, if the sender knows it; empty: none"
    ),
    TableColumn("platform", _WORD, "platform the message was sent from; empty: unknown"),
    TableColumn("provider", _WORD, "provider of the latest attempt; empty: unknown"),
    TableColumn("segments", "UInt32", "message parts charged, summed over attempts"),
    TableColumn("credits", "Decimal(18, 6)", "price in credits, summed over attempts"),
    TableColumn("attempts", "UInt16", "highest attempt known; 1: never retried"),
    TableColumn("sent_at", _TIME, "when attempt 1 was sent, UTC"),
    TableColumn(
        "status",
        _WORD,
        f"{', '.join(status.word for status in Status)}, or received when inbound",
    ),
    TableColumn(
        "platform_status",
        _WORD,
        "what the platform did: submitted or rejected; empty when inbound",
    ),
    TableColumn(
        "carrier_status",
        _WORD,
        "what the network did: queued, delivered or undelivered; empty when rejected or inbound",
    ),
    TableColumn("bounce", _WORD, "soft or hard failure; empty: no bounce"),
    TableColumn(
        "scope",
        _WORD,
        "whose fault a failure is: recipient, content, sender, account, route, network, policy or "
        "time; empty: unknown or no failure",
    ),
    TableColumn("error_code", _WORD, "code the provider gave for a failure; empty: none"),
    TableColumn(
        "fail_reason",
        _WORD,
        "why it failed, in words for people, or expired; empty: not failed",
    ),
    TableColumn("queued_at", _TIME, "first seen queued, UTC", "not yet"),
    TableColumn("delivered_at", _TIME, "first seen delivered or read, UTC", "not yet"),
    TableColumn("read_at", _TIME, "first seen read, UTC", "not yet"),
    TableColumn(
        "finalized_at",
        _TIME,
        "when the outcome was known (delivered, failed or expired), UTC",
        "pending",
    ),
    TableColumn(
        "clicked_at", _TIME, "first click of a person on a link of the message, UTC", "none"
    ),
    TableColumn("unsubscribed_at", _TIME, "first unsubscribe through the message, UTC", "none"),
    TableColumn("version", "UInt64", "orders the writes of one message; the highest wins"),
    TableColumn("error_text", _WORD, "words the provider gave for a failure; empty: none"),
    TableColumn("failed_attempt", "UInt16", "attempt whose failure decides", "not failed"),
    TableColumn(
        "no_retry_reason",
        _WORD,
        "why no further attempt was requested: off, too_late, too_many (attempts), expired, "
        "suppressed or final; empty: one was or will be, or none is needed",
    ),
    TableColumn("next_attempt_at", _TIME, "when the next attempt is or was due, UTC", "none"),
    TableColumn(
        "sent_to_suppressed",
        "Bool",
        "whether it was sent although its number was suppressed before",
    ),
    TableColumn(
        "person",
        "String",
        "the recipient in the canonical spelling of its number; compare people by it",
    ),
    TableColumn(
        "provider_message_id",
        "String",
        "id the provider gave the latest attempt, by its send or by the receipt that decides; "
        "empty: unknown",
    ),
    TableColumn("template", _WORD, "template it was made from; empty: unknown"),
    TableColumn(
        "category", _WORD, "marketing, utility or another word of the sender; empty: unknown"
    ),
    TableColumn("reference", "String", "reference of the sender; empty: none"),
    TableColumn("mccmnc", _WORD, "mobile country and network code, of the latest receipt with one"),
    TableColumn(
        "price",
        "Decimal(18, 6)",
        "price by the receipts in currency, summed over attempts; 0 without a currency: unknown",
    ),
    TableColumn("currency", _WORD, "ISO 4217 of the price; of two, the latest; empty: unknown"),
    TableColumn("converted_at", _TIME, "when the goal of the message was reached, UTC", "not yet"),
    TableColumn(
        "automated_clicked_at",
        _TIME,
        "first click by a program (link preview, scanner), UTC",
        "none",
    ),
    TableColumn(
        "repaired",
        "Array(LowCardinality(String))",
        "fields of its events that were wrong and were mended or left out",
    ),
)
#: ClickHouse computes it when a row is written: it is in the table and in no row.
OUTCOME: Final = TableColumn(
    "outcome",
    _WORD,
    "the one word a message is counted under: "
    f"{', '.join(count.name for count in COUNTS)}; received when inbound",
)


class MessageRow(NamedTuple):
    """One row as people see it. Times in epoch ms, 0: not yet; "": absent; credits in 10^-6.

    Between `kind` and `occurred_at` are `MESSAGE_COLUMNS`; what follows concerns orphans
    and the rows that this one replaces.
    """

    kind: str
    account: str
    message_id: str
    channel: str
    direction: str
    source: str
    sender_id: str
    sent_by: str
    campaign_id: str
    message_type: str
    recipient: str
    country: str
    external_id: str
    email: str
    platform: str
    provider: str
    segments: int
    credits: int
    attempts: int
    sent_at: int
    status: str
    platform_status: str
    carrier_status: str
    bounce: str
    scope: str
    error_code: str
    fail_reason: str
    queued_at: int
    delivered_at: int
    read_at: int
    finalized_at: int
    clicked_at: int
    unsubscribed_at: int
    version: int
    error_text: str
    failed_attempt: int
    no_retry_reason: str
    next_attempt_at: int
    sent_to_suppressed: bool
    person: str
    provider_message_id: str
    template: str
    category: str
    reference: str
    mccmnc: str
    price: int
    currency: str
    converted_at: int
    automated_clicked_at: int
    repaired: tuple[str, ...]
    occurred_at: int
    superseded: tuple[int, ...]
    was_orphan: bool


def _provider_message_id(state: MessageState) -> str:
    """That of the send, else that of the receipt that decides, if it is about this attempt or
    delivered another one."""
    sends, outcome = state.sends, state.outcome
    if sends and sends[-1].provider_message_id:
        return sends[-1].provider_message_id
    if outcome is None:
        return ""
    is_earlier = sends and outcome.attempt < sends[-1].attempt
    return "" if is_earlier and outcome.status not in SUCCESSES else outcome.provider_message_id


class StatusColumns(NamedTuple):
    """The columns of a row that follow from its status."""

    status: str
    platform_status: str
    carrier_status: str
    bounce: str = ""
    scope: str = ""
    error_code: str = ""
    error_text: str = ""
    failed_attempt: int = 0
    finalized_at: int = 0


#: Status, platform status and carrier status by the number of a status.
_WORDS: Final = {status.value: (status.word, status.platform, status.carrier) for status in Status}
_PENDING: Final = {
    number: StatusColumns(*words)
    for number, words in _WORDS.items()
    if number not in FINAL_STATUSES
}
_SUBMITTED: Final = _PENDING[Status.SUBMITTED.value]
_RECEIVED: Final = StatusColumns("received", "", "")
_UNDELIVERED: Final = Status.UNDELIVERED.value
_HARD: Final = Bounce.HARD.value
_NO_SEND: Final = SendFact(0, 0, 0, "", "", "", "", "", segments=0, validity_s=0)


def row_of(key: bytes, state: MessageState) -> MessageRow:
    """A state as a row of `messages`, of `orphans`, or of neither.

    By position: it runs for every row of the sink, and by name the fields cost half as much time
    again. Raises ValueError when `key` is not a message key.
    """
    account, message_id = split_key(key)
    sends, outcome = state.sends, state.outcome
    first = sends[0] if sends else _NO_SEND
    kind = MESSAGE if sends else ORPHAN if outcome is not None else NO_ROW
    recipient = first.recipient or (outcome.recipient if outcome is not None else "")
    shown = status_columns(state)
    clicked_at, automated_clicked_at = first_clicks_of(state)
    price, currency = total_price(state.prices, sends)
    return MessageRow(
        kind,
        account,
        message_id,
        first.channel,
        first.direction,
        first.source,
        first.sender_id,
        first.sent_by,
        first.campaign_id,
        first.message_type,
        recipient,
        first.country,
        first.external_id,
        first.email,
        first.platform,
        provider_of(state),
        sum(send.segments for send in sends),
        sum(send.credits for send in sends),
        attempts_of(state),
        first.first_sent_at,
        shown.status,
        shown.platform_status,
        shown.carrier_status,
        shown.bounce,
        shown.scope,
        shown.error_code,
        state.fail_reason,
        state.queued_at,
        delivered_at_of(state),
        read_at_of(state),
        shown.finalized_at,
        clicked_at,
        state.unsubscribed_at,
        state.version,
        shown.error_text,
        shown.failed_attempt,
        state.no_retry,
        state.next_attempt_at,
        state.to_suppressed,
        person_of(recipient),
        _provider_message_id(state),
        first.template,
        first.category,
        first.reference,
        state.mccmnc,
        price,
        currency,
        state.converted_at,
        automated_clicked_at,
        state.repaired,
        outcome.occurred_at if outcome is not None else 0,
        tuple(at for at in state.sort_keys if at != first.first_sent_at),
        state.orphaned,
    )


def status_columns(state: MessageState) -> StatusColumns:
    """The columns that follow from the receipt that decides, or from its absence."""
    first, outcome = state.first_send, state.outcome
    if first is not None and first.direction == "inbound":
        return _RECEIVED
    if is_pending(state):
        return _expired(state) if state.expired_at and first else _pending(state)
    assert outcome is not None  # not pending
    status, platform, carrier = _WORDS[outcome.status]
    if outcome.status in SUCCESSES:
        return StatusColumns(status, platform, carrier, finalized_at=delivered_at_of(state))
    return StatusColumns(
        status,
        platform,
        carrier,
        _bounce_word(outcome),
        outcome.scope,
        outcome.error_code,
        outcome.reason,
        outcome.attempt,
        outcome.occurred_at,
    )


def _bounce_word(outcome: Outcome) -> str:
    """An undelivered message that is not hard is soft, as in the counters."""
    if outcome.bounce == _HARD:
        return "hard"
    return "soft" if outcome.status == _UNDELIVERED else ""


def _pending(state: MessageState) -> StatusColumns:
    """A status that only a newer version knows reads as submitted."""
    outcome = state.outcome
    if outcome is None or (state.sends and state.sends[-1].attempt > outcome.attempt):
        return _SUBMITTED
    return _PENDING.get(outcome.status, _SUBMITTED)


def _expired(state: MessageState) -> StatusColumns:
    status, platform, carrier = _WORDS[_UNDELIVERED]
    attempt, at = state.sends[-1].attempt, state.expired_at
    return StatusColumns(
        status, platform, carrier, "soft", "time", failed_attempt=attempt, finalized_at=at
    )
