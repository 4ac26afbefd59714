"""Receipts of providers whose message is not known: the records of `unmatched-receipts`."""

from typing import Annotated, Final

import msgspec

from models.contract import LAST_INSTANT_MS
from models.correlation import ReceivedReceipt
from models.keys import message_key

Instant = Annotated[int, msgspec.Meta(ge=0, le=LAST_INSTANT_MS)]


class UnmatchedReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a receipt without its message; "": not given. Times in epoch ms.

    id: the same for all records about a receipt, however it is read
    at: when it was reported, or found
    message_id: its message, found after all. Of the records about a receipt one with a message
    counts, for it may also wait under another key
    reported: whether it was ever without its message: a receipt that is found at once under one of
    its keys has a record too, so that what it waits for under the other is known to be found
    provider_status: the provider's own word
    """

    account: Annotated[str, msgspec.Meta(min_length=1)]
    id: Annotated[str, msgspec.Meta(min_length=1)]
    at: Instant
    received_at: Instant
    message_id: str = ""
    reported: bool = False
    endpoint: str = ""
    provider: str = ""
    provider_message_id: str = ""
    reference: str = ""
    recipient: str = ""
    status: str = ""
    provider_status: str = ""
    error_code: str = ""
    error_text: str = ""
    occurred_at: Instant | None = None


decode: Final = msgspec.json.Decoder(UnmatchedReceipt).decode
_encode: Final = msgspec.json.Encoder().encode


def unmatched(account: str, receipt: ReceivedReceipt, at_ms: int) -> tuple[bytes, bytes]:
    """Key and value of the record that reports a receipt without its message."""
    return _record(account, receipt, at_ms, "", reported=True)


def found_after_all(
    account: str, receipt: ReceivedReceipt, at_ms: int, message_id: str, *, reported: bool
) -> tuple[bytes, bytes]:
    """Key and value of the record that its message was found. reported: as unmatched before"""
    return _record(account, receipt, at_ms, message_id, reported)


def _record(
    account: str, receipt: ReceivedReceipt, at_ms: int, message_id: str, reported: bool
) -> tuple[bytes, bytes]:
    name = receipt.origin.hex()
    record = UnmatchedReceipt(
        account=account,
        id=name,
        at=at_ms,
        message_id=message_id,
        reported=reported,
        endpoint=receipt.endpoint,
        provider=receipt.provider,
        provider_message_id=receipt.provider_message_id,
        reference=receipt.reference,
        recipient=receipt.recipient,
        status=receipt.status,
        provider_status=receipt.word,
        error_code=receipt.error_code,
        error_text=receipt.words,
        received_at=receipt.received_at,
        occurred_at=receipt.occurred_at or None,
    )
    return message_key(account, name), _encode(record)
