"""Dead letters as records: what the sink writes to `dead-letters`, and what it reads from there.

Key and value are the original bytes untouched; the headers, all UTF-8 text, say reason, detail,
origin topic, partition, offset and time (Kafka timestamp in epoch ms).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from models.refusal import MAX_DETAIL, Reason
from streams.kafka.reading import UnreadableRecord


class Record(Protocol):
    """The part of an aiokafka ConsumerRecord the sink uses."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Origin(NamedTuple):
    """What the headers of a dead letter say; `time` in epoch ms, 0 = none."""

    topic: str
    partition: int
    offset: int
    time: int
    reason: str
    detail: str


def origin_of(letter: Record) -> Origin:
    """What a dead letter says of itself.

    A letter without readable headers is kept under its own place in `dead-letters`: refusing it
    would only make another dead letter.
    """
    if type(letter) is UnreadableRecord:
        return _own_place(letter, Reason.UNREADABLE, letter.fault)
    try:
        texts = {name: text.decode() for name, text in letter.headers}
        return Origin(
            texts["topic"],
            _within(texts["partition"], 31),
            _within(texts["offset"], 63),
            max(_within(texts["time"], 47), 0),
            texts["reason"],
            texts["detail"],
        )
    except (KeyError, ValueError, AttributeError) as error:
        detail = f"headers: cannot be read ({type(error).__name__}: {error})"
        return _own_place(letter, Reason.INTERNAL_ERROR, detail)


def _own_place(letter: Record, reason: Reason, detail: str) -> Origin:
    place = (letter.topic, letter.partition, letter.offset, max(letter.timestamp, 0))
    return Origin(*place, reason.value, detail[:MAX_DETAIL])


def _within(text: str, bits: int) -> int:
    number = int(text)
    if abs(number) >> bits:
        raise ValueError(f"{number} has more than {bits} bits")
    return number
