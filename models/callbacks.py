"""Raw callbacks as records of `callbacks`: the body is the value, the rest is in headers."""

from collections.abc import Iterable, Mapping
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


class RawCallback(NamedTuple):
    """A callback as it came.

    endpoint: its name. query: of the URL, without "?"
    reference: `account/message_id[/attempt]` that the sender put into the URL; "": none
    received_at: epoch ms; 0: not known. verified: by which scheme; "none": by none
    """

    body: bytes
    endpoint: str
    content_type: str = ""
    query: str = ""
    reference: str = ""
    received_at: int = 0
    verified: str = ""

    def headers(self) -> list[tuple[str, bytes]]:
        """Of its record; all UTF-8 text."""
        texts = {
            _ENDPOINT: self.endpoint,
            _CONTENT_TYPE: self.content_type,
            _QUERY: self.query,
            _REFERENCE: self.reference,
            _RECEIVED_AT: str(self.received_at),
            _VERIFIED: self.verified,
        }
        return [(name, text.encode()) for name, text in texts.items() if text]


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
    )


def _received_at(written: str, timestamp: int) -> int:
    """As the header has it, where that can be: receipts count, wait and are forgotten by it."""
    latest = timestamp + _AHEAD_MS if timestamp >= 0 else LAST_INSTANT_MS
    if written.isascii() and written.isdigit() and len(written) <= 13:
        found = int(written)
        if YEAR_2000_MS <= found <= latest:
            return found
    return max(0, timestamp)
