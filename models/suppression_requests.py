"""Requests of people and recipients that suppress or release a recipient."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from pydantic import Field, StringConstraints

from models.contract import MAX_EVENT_BYTES, Account, Event, Instant, Name, Person
from models.keys import recipient_key
from models.numbers import person_of
from models.parsing import lost_channel, out_of_time, validated
from models.refusal import Refusal
from models.repair import Reader, read_recipient
from models.vocabulary import Channel

Action = Literal["suppress", "release", "resubscribe", "unsubscribe"]
Why = Annotated[str, StringConstraints(max_length=1_024)]

#: `who` of what the recipient wanted.
RECIPIENT: Final = "recipient"


class SuppressionRequest(Event):
    """One record of `suppression-requests`, keyed by `account/person`."""

    decides = frozenset({"account", "recipient", "action", "at"})
    readers: ClassVar[Mapping[str, Reader]] = {"recipient": read_recipient}

    account: Account
    recipient: Person
    action: Action
    at: Instant
    who: Name = ""
    why: Why = ""
    channel: Channel | None = Field(default=None, description="that it binds; absent: all")


def parse_request(
    value: bytes | None, record_ms: int, limit: int = MAX_EVENT_BYTES
) -> SuppressionRequest | Refusal:
    """Parse one record of `suppression-requests`."""
    request = validated(SuppressionRequest, value, limit)
    if isinstance(request, Refusal):
        return request
    if request.repaired and request.action in ("release", "resubscribe"):
        refusal = lost_channel(request.repaired, request.channel)
        if refusal is not None:
            return refusal
    return out_of_time("at", request.at, record_ms) or request


_encode_json: Final = msgspec.json.Encoder().encode


def encoded_request(
    account: str,
    recipient: str,
    action: Action,
    at_ms: int,
    channel: str = "",
    who: str = RECIPIENT,
    why: str = "",
) -> tuple[bytes, bytes]:
    """Key and value of a record of `suppression-requests`. channel "": all."""
    request = {
        "account": account,
        "recipient": person_of(recipient),
        "action": action,
        "at": at_ms,
        "who": who,
        "why": why,
    }
    if channel:
        request["channel"] = channel
    return recipient_key(account, recipient), _encode_json(request)


def by_message(message_id: str) -> str:
    """`why` of what a recipient did through a message; "": through none."""
    return f"message {message_id}" if message_id else ""
