"""Record keys and their partitions (docs/design.md, flow)."""

from collections.abc import Callable
from typing import Final

from murmurhash2 import murmurhash2

from models.contract import Engagement, Receipt, Send
from models.numbers import person_of

#: Header of a rerouted record: it is rerouted only once, and its original is in the topic too.
FORWARDED: Final = "receipts-forwarded"

_hash: Final[Callable[[bytes, int], int]] = murmurhash2

#: Seed of the murmur2 variant that Kafka's own clients partition by.
KAFKA_SEED: Final = 0x9747B28C


def message_key(account: str, message_id: str) -> bytes:
    """`account/message_id` as UTF-8: the key of sends, receipts, engagements and states.

    Neither part can hold a slash, so different messages never share a key.
    """
    return f"{account}/{message_id}".encode()


def recipient_key(account: str, recipient: str) -> bytes:
    """`account/person` as UTF-8: the key of strikes, suppression requests and suppressions.

    One key for all spellings of a number.
    """
    return message_key(account, person_of(recipient))


def is_of_person(key: bytes) -> bool:
    """Whether a recipient key has the spelling of the person; 0.1.0 keyed by any spelling."""
    recipient = key.partition(b"/")[2].decode(errors="replace")
    return person_of(recipient) == recipient


def event_key(event: Send | Receipt | Engagement) -> bytes:
    """The record key of an event; an engagement without a message is keyed by its recipient."""
    return message_key(event.account, event.message_id or event.recipient or "")


def split_key(key: bytes) -> tuple[str, str]:
    """(account, message_id) of a message key, (account, recipient) of a recipient key.

    Raises ValueError when the key has no slash.
    """
    account, slash, rest = key.decode().partition("/")
    if not slash:
        raise ValueError(f"key without a slash: {key!r}")
    return account, rest


def account_of(key: bytes) -> str:
    """The account of a message key or recipient key."""
    return key.partition(b"/")[0].decode()


def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a key as Apache Kafka's own clients choose it."""
    return (_hash(key, KAFKA_SEED) & 0x7FFFFFFF) % partitions
