"""Ids that providers gave to messages: what senders publish after a send."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from models.contract import MAX_EVENT_BYTES, Account, Attempt, Event, MessageId, Person
from models.parsing import validated
from models.refusal import Refusal
from models.repair import Reader, read_recipient


class ProviderId(Event):
    """One record of `provider-ids`: this id of a provider is that message."""

    decides = frozenset({"account", "message_id", "provider", "provider_message_id", "attempt"})
    readers: ClassVar[Mapping[str, Reader]] = {"recipient": read_recipient}

    account: Account
    message_id: MessageId
    provider: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="its name, or the name of an endpoint"
    )
    provider_message_id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    attempt: Attempt | None = Field(
        default=None, description="else the latest one sent before the receipt"
    )
    recipient: Person | None = Field(
        default=None, description="required where the provider's id is that of a batch"
    )


def parse_provider_id(value: bytes | None, limit: int = MAX_EVENT_BYTES) -> ProviderId | Refusal:
    """Parse one record of `provider-ids`."""
    return validated(ProviderId, value, limit)
