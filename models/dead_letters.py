"""The contents of a dead letter: the original bytes, up to the topic's limit, and the reason.

Worker and sink write dead letters by the same rules.
"""

from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from models.refusal import MAX_DETAIL, Reason, Refusal

#: `max.message.bytes` of `dead-letters`: any event that the other topics accept fits whole.
MAX_LETTER_BYTES: Final = 2 * 1024**2
#: Bytes kept of a key or value that does not fit.
KEPT_BYTES: Final = 64 * 1024
#: Bytes for headers and for the overhead of the batch.
_ROOM: Final = 16 * 1024
#: Largest key and value together that are kept whole.
MAX_CONTENT_BYTES: Final = MAX_LETTER_BYTES - _ROOM


class Refused(Protocol):
    """The part of a Kafka record that becomes a dead letter; `timestamp` in epoch ms, -1 = none."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Letter(NamedTuple):
    """A record for `dead-letters`."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def letter_of(record: Refused, refusal: Refusal) -> Letter:
    """The dead letter of a refused record.

    A batch that is small on the wire may decompress to records larger than any topic accepts:
    the first KEPT_BYTES of such a key or value are kept, with its length and digest in `detail`.
    """
    key, value = record.key, record.value
    if len(key or b"") + len(value or b"") > MAX_CONTENT_BYTES:
        cuts = [cut for cut in (_cut("key", key), _cut("value", value)) if cut]
        detail = "; ".join([*cuts, f"{refusal.reason.value}: {refusal.detail}"])
        refusal = Refusal(Reason.OVERSIZED, detail[:MAX_DETAIL])
        key, value = _first(key), _first(value)
    place = (record.topic, record.partition, record.offset, record.timestamp)
    return Letter(key, value, refusal.headers(*place))


def _cut(name: str, content: bytes | None) -> str:
    if content is None or len(content) <= KEPT_BYTES:
        return ""
    return (
        f"{name}: {len(content)} bytes, more than dead letters take; the first {KEPT_BYTES} are "
        f"kept, sha256 of all {sha256(content).hexdigest()}"
    )


def _first(content: bytes | None) -> bytes | None:
    return None if content is None else content[:KEPT_BYTES]
