"""Dead letters as records: what the sink writes to `dead-letters`, and what it reads from there.

Key and value are the original bytes; the headers, all UTF-8 text, hold reason, detail, and topic,
partition, offset and time (Kafka timestamp in epoch ms) of the refused record.
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
    """The headers of a dead letter; `time` in epoch ms, 0: none."""

    topic: str
    partition: int
    offset: int
    time: int
    reason: str
    detail: str


def origin_of(letter: Record) -> Origin:
    """Where a refused record came from and why it was refused.

    A dead letter without readable headers is its own origin: refusing it would only produce another
    dead letter.
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
