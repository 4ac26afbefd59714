"""Kafka records made by hand, as the lifecycle agent sees them."""

from typing import NamedTuple


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def record(
    topic: str,
    key: bytes | None,
    value: bytes | None,
    timestamp: int,
    *,
    partition: int = 0,
    offset: int = 0,
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Record:
    return Record(topic, partition, offset, timestamp, key, value, headers)
