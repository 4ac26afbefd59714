"""What a raw callback is read as by the adapter of its endpoint."""

from collections.abc import Iterator
from typing import NamedTuple

from models.callbacks import RawCallback
from models.correlation import (
    ReceivedReceipt,
    encode,
    event_of,
    named_by,
    receipt_keys,
    received,
)
from models.endpoints import Endpoint
from models.providers import read
from models.providers.callback import Callback, Item, ProviderReceipt, Unread
from models.settings import Topic
from models.unmatched import found_after_all


class ReadItem(NamedTuple):
    """An item of a callback. receipt: as it goes on; None: it is none

    error: of a rule that raised: the item is lost for all but its dead letter
    """

    item: Item
    receipt: ReceivedReceipt | None = None
    error: Exception | None = None

    @property
    def fault(self) -> str:
        """Why it cannot be read; "": it can."""
        if self.error is not None:
            return repr(self.error)
        return self.item.reason if isinstance(self.item, Unread) else ""


def read_callback(raw: RawCallback, endpoint: Endpoint) -> list[ReadItem]:
    """All that is in a callback, in its order. Never raises for what a provider sends."""
    items = read(
        endpoint.adapter, Callback(raw.body, raw.content_type, raw.query), endpoint.options
    )
    return [_read_item(*each, raw) for each in zip(items, raw.origins(), strict=False)]


def _read_item(item: Item, origin: bytes, raw: RawCallback) -> ReadItem:
    if not isinstance(item, ProviderReceipt):
        return ReadItem(item)
    try:
        return ReadItem(item, received(item, raw, origin))
    except Exception as error:  # noqa: BLE001  (a rule that raises costs its item alone)
        return ReadItem(item, error=error)


def placed(receipt: ReceivedReceipt, endpoint: Endpoint) -> Iterator[tuple[Topic, bytes, bytes]]:
    """Topic, key and value: of the message that its reference names, else of the keys it waits
    under."""
    account = endpoint.account
    named = named_by(receipt.reference, account)
    if named is not None:
        yield "receipts", *event_of(receipt, account, *named)
        if receipt.reading:  # as it was read before, it may have been reported
            at, message_id = receipt.reading, named[0]
            yield (
                "unmatched-receipts",
                *found_after_all(account, receipt, at, message_id, reported=False),
            )
        return
    value = encode(receipt)
    for key in receipt_keys(account, endpoint.adapter, receipt, endpoint.ids):
        yield "provider-receipts", key, value
