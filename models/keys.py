"""Record keys and their partitions (docs/design.md, flow)."""

from collections.abc import Callable
from typing import Final

from murmurhash2 import murmurhash2

_hash: Final[Callable[[bytes, int], int]] = murmurhash2

#: Seed of the murmur2 variant that Kafka's own clients partition by.
KAFKA_SEED: Final = 0x9747B28C


def message_key(account: str, message_id: str) -> bytes:
    """`account/message_id` as UTF-8: the key of sends, receipts, engagements and states.

    Neither part can hold a slash, so different messages never share a key.
    """
    return f"{account}/{message_id}".encode()


def split_key(key: bytes) -> tuple[str, str]:
    """(account, message_id) of a message key; ValueError when it is none."""
    account, slash, message_id = key.decode().partition("/")
    if not slash:
        raise ValueError(f"message key without a slash: {key!r}")
    return account, message_id


def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a key as Apache Kafka's own clients choose it."""
    return (_hash(key, KAFKA_SEED) & 0x7FFFFFFF) % partitions
