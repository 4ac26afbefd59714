"""Reading records as events: the contract's models judge, a refusal is a value.

Clean events are read by models/clean_events.py. Flawed ones are mended (models/repair.py): fields
that do not decide are left out or read as they were meant, and the event names them in `repaired`.
"""

from collections.abc import Collection
from typing import Final, TypeVar

from pydantic import ValidationError

from models.clean_events import clean_engagement, clean_receipt, clean_send
from models.contract import (
    MAX_EVENT_BYTES,
    YEAR_2000_MS,
    Campaign,
    Engagement,
    Event,
    Receipt,
    Send,
)
from models.refusal import Reason, Refusal
from models.repair import NUMBER_EXPECTED, mended, refusal_of, without
from models.time import DAY_MS
from models.vocabulary import Channel

E = TypeVar("E", bound=Event)


def parse_send(value: bytes | None, record_ms: int, limit: int = MAX_EVENT_BYTES) -> Send | Refusal:
    """Read one record of `sends`; `record_ms` is its Kafka timestamp (-1: none)."""
    send = clean_send(value, limit) or validated(Send, value, limit)
    if isinstance(send, Refusal):
        return send
    if send.attempt > 1 and send.first_sent_at is None:
        return Refusal(Reason.MISSING_FIELD, "first_sent_at: required when attempt > 1")
    if send.recipient[0] != "+" and send.channel != "whatsapp" and send.direction != "inbound":
        return Refusal(Reason.BAD_NUMBER, f"recipient: {NUMBER_EXPECTED}; user ids are WhatsApp's")
    return (
        out_of_time("sent_at", send.sent_at, record_ms)
        or out_of_time("first_sent_at", send.first_sent_at, record_ms)
        or send
    )


def parse_receipt(
    value: bytes | None, record_ms: int, limit: int = MAX_EVENT_BYTES
) -> Receipt | Refusal:
    """Read one record of `receipts`; `received_at` is informational and may be absent."""
    receipt = clean_receipt(value, limit) or validated(Receipt, value, limit)
    if isinstance(receipt, Refusal):
        return receipt
    if refusal := out_of_time("occurred_at", receipt.occurred_at, record_ms):
        return refusal
    if not out_of_time("received_at", receipt.received_at, record_ms):
        return receipt
    judged = validated(Receipt, value, limit)
    return judged if isinstance(judged, Refusal) else without(judged, "received_at")


def parse_engagement(
    value: bytes | None, record_ms: int, limit: int = MAX_EVENT_BYTES
) -> Engagement | Refusal:
    """Read one record of `engagements`."""
    engagement = clean_engagement(value, limit) or validated(Engagement, value, limit)
    if isinstance(engagement, Refusal):
        return engagement
    return (
        _without_person(engagement)
        or _binds_too_much(engagement)
        or out_of_time("occurred_at", engagement.occurred_at, record_ms)
        or engagement
    )


def _without_person(engagement: Engagement) -> Refusal | None:
    if engagement.message_id is not None or engagement.recipient is not None:
        return None
    if "recipient" in engagement.repaired:
        return Refusal(Reason.BAD_NUMBER, f"recipient: {NUMBER_EXPECTED}, or a message_id")
    if "message_id" in engagement.repaired:
        fix = "1 to 128 printable characters without / expected, or a recipient"
        return Refusal(Reason.BAD_VALUE, f"message_id: {fix}")
    return Refusal(Reason.MISSING_FIELD, "message_id: this or recipient is required")


def _binds_too_much(engagement: Engagement) -> Refusal | None:
    """Without its message, a resubscribe would allow more than the person did."""
    if engagement.type != "resubscribe" or not engagement.repaired:
        return None
    if "message_id" in engagement.repaired and engagement.message_id is None:
        fix = "1 to 128 printable characters without / expected"
        return Refusal(Reason.BAD_VALUE, f"message_id: {fix}")
    return lost_channel(engagement.repaired, engagement.channel)


def lost_channel(repaired: Collection[str], channel: Channel | None) -> Refusal | None:
    """Refuse what allows messages again when its channel cannot be read: it would allow all."""
    if "channel" in repaired and channel is None:
        return Refusal(Reason.BAD_VALUE, "channel: sms or whatsapp expected")
    return None


def parse_campaign(
    value: bytes | None, record_ms: int, limit: int = MAX_EVENT_BYTES
) -> Campaign | Refusal:
    """Read one record of `campaigns`; planned starts and ends may lie in the future."""
    campaign = validated(Campaign, value, limit)
    if isinstance(campaign, Refusal):
        return campaign
    return out_of_time("updated_at", campaign.updated_at, record_ms) or _with_possible_times(
        campaign
    )


def _with_possible_times(campaign: Campaign) -> Campaign:
    times = ("created_at", "started_at", "ended_at")
    wrong = [field for field in times if out_of_time(field, getattr(campaign, field), -1)]
    return without(campaign, *wrong) if wrong else campaign


def out_of_time(field: str, at: int | None, record_ms: int) -> Refusal | None:
    """Refuse a time before 2000 or over a day after the record's timestamp.

    record_ms: -1: the record has none. The wall clock plays no part: a replay must decide the same.
    """
    if at is None:
        return None
    if at < YEAR_2000_MS:
        return Refusal(Reason.BAD_TIME, f"{field}: before the year 2000 (epoch in seconds?)")
    if 0 <= record_ms < at - DAY_MS:
        return Refusal(Reason.BAD_TIME, f"{field}: more than a day after the record's timestamp")
    return None


#: The escape of NUL, and its first byte, which is found in a tenth of the time.
_ESCAPED_NUL: Final = b"\\u0000"
_BACKSLASH: Final = ord("\\")


def validated(event: type[E], value: bytes | None, limit: int) -> E | Refusal:
    """Read a value as an event of this type, mended if that is possible."""
    if not value:
        return Refusal(Reason.EMPTY, "value: empty; expected a JSON object")
    if len(value) > limit:
        return Refusal(Reason.OVERSIZED, f"value: {len(value)} bytes; at most {limit} are read")
    try:
        read: E = event.__pydantic_validator__.validate_json(value)
    except ValidationError as error:
        if event.decides is None:
            return refusal_of(error.errors(include_url=False, include_context=False)[0])
        return mended(event, value, error)
    if _BACKSLASH in value and _ESCAPED_NUL in value and event.decides is not None:
        return mended(event, value, None)
    return read
