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
    unmatched_row,
)
from models.endpoints import Endpoint
from models.providers import read
from models.providers.callback import Callback, Item, ProviderReceipt
from models.settings import Topic


class ReadItem(NamedTuple):
    """An item of a callback. receipt: as it goes on; None: it is none"""

    item: Item
    receipt: ReceivedReceipt | None


def read_callback(raw: RawCallback, endpoint: Endpoint) -> list[ReadItem]:
    """All that is in a callback, in its order. Never raises for what a provider sends."""
    items = read(
        endpoint.adapter, Callback(raw.body, raw.content_type, raw.query), endpoint.options
    )
    return [
        ReadItem(item, received(item, raw, origin) if isinstance(item, ProviderReceipt) else None)
        for item, origin in zip(items, raw.origins(), strict=False)
    ]


def placed(receipt: ReceivedReceipt, endpoint: Endpoint) -> Iterator[tuple[Topic, bytes, bytes]]:
    """Topic, key and value: of the message that its reference names, else of the keys it waits
    under."""
    account = endpoint.account
    named = named_by(receipt.reference, account)
    if named is not None:
        yield "receipts", *event_of(receipt, account, *named)
        if receipt.reading:  # as it was read before, it may have been reported
            yield "unmatched-receipts", *unmatched_row(account, receipt, receipt.reading, named[0])
        return
    value = encode(receipt)
    for key in receipt_keys(account, endpoint.adapter, receipt, endpoint.ids):
        yield "provider-receipts", key, value
