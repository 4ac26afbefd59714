"""Raw callbacks as records of `callbacks`: the body is the value, the rest is in headers."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import count
from typing import Final, NamedTuple

from models.contract import LAST_INSTANT_MS, YEAR_2000_MS

#: Clocks of machines differ so much, at most.
_AHEAD_MS: Final = 3_600_000
_ENDPOINT: Final = "endpoint"
_CONTENT_TYPE: Final = "content-type"
_QUERY: Final = "query"
_REFERENCE: Final = "reference"
_RECEIVED_AT: Final = "received-at"
_VERIFIED: Final = "verified"
_REPLAYED_AT: Final = "replayed-at"
_REPLAYED_FROM: Final = "replayed-from"
_OF_COPIES: Final = frozenset({_RECEIVED_AT, _REPLAYED_AT, _REPLAYED_FROM})


class RawCallback(NamedTuple):
    """A callback as it came.

    endpoint: its name. query: of the URL, without "?"
    reference: `account/message_id[/attempt]` that the sender put into the URL; "": none
    received_at: epoch ms; 0: not known. verified: by which scheme; "none": by none
    replayed_at: of a copy that `receipts replay-callbacks` has produced, epoch ms; 0: an original
    """

    body: bytes
    endpoint: str
    content_type: str = ""
    query: str = ""
    reference: str = ""
    received_at: int = 0
    verified: str = ""
    replayed_at: int = 0

    def headers(self) -> list[tuple[str, bytes]]:
        """Of the record of an original; all UTF-8 text."""
        texts = {
            _ENDPOINT: self.endpoint,
            _CONTENT_TYPE: self.content_type,
            _QUERY: self.query,
            _REFERENCE: self.reference,
            _RECEIVED_AT: str(self.received_at) if self.received_at else "",
            _VERIFIED: self.verified,
        }
        return [(name, text.encode()) for name, text in texts.items() if text]

    def origins(self) -> Iterator[bytes]:
        """What names each item of it, in their order, without an end: however the item is read, and
        however often the provider repeats the same bytes."""
        context = "\0".join((self.endpoint, self.content_type, self.query, self.reference, ""))
        whole = blake2b(context.encode() + self.body, digest_size=32).digest()
        for number in count():
            yield blake2b(number.to_bytes(4, "big"), key=whole, digest_size=16).digest()


def headers_of_copy(
    raw: RawCallback, headers: Iterable[tuple[str, bytes | None]], position: str, at: int
) -> list[tuple[str, bytes]]:
    """Headers of the copy that replays a callback: its own, and when it came.

    position: of the original, PARTITION:OFFSET. at: epoch ms
    """
    own = [(name, text or b"") for name, text in headers if name.lower() not in _OF_COPIES]
    added = {
        _RECEIVED_AT: str(raw.received_at),
        _REPLAYED_AT: str(at),
        _REPLAYED_FROM: position,
    }
    return [*own, *((name, text.encode()) for name, text in added.items())]


def raw_callback(
    value: bytes | None, headers: Iterable[tuple[str, bytes | None]], timestamp: int
) -> RawCallback:
    """The callback of a record, also of one that another program has produced.

    timestamp: of the record, epoch ms; -1: none. Whatever a header has is text.
    """
    texts: Mapping[str, str] = {
        name.lower(): (content or b"").decode("utf-8", "replace") for name, content in headers
    }
    return RawCallback(
        body=value or b"",
        endpoint=texts.get(_ENDPOINT, ""),
        content_type=texts.get(_CONTENT_TYPE, ""),
        query=texts.get(_QUERY, ""),
        reference=texts.get(_REFERENCE, ""),
        received_at=_received_at(texts.get(_RECEIVED_AT, ""), timestamp),
        verified=texts.get(_VERIFIED, ""),
        replayed_at=_time(texts.get(_REPLAYED_AT, "")),
    )


def _received_at(written: str, timestamp: int) -> int:
    """As the header has it, where that can be: receipts count, wait and are forgotten by it."""
    latest = timestamp + _AHEAD_MS if timestamp >= 0 else LAST_INSTANT_MS
    found = _time(written)
    return found if YEAR_2000_MS <= found <= latest else max(0, timestamp)


def _time(written: str) -> int:
    """Epoch ms of a header; 0 where it has none."""
    is_time = written.isascii() and written.isdigit() and len(written) <= 13
    return int(written) if is_time else 0
