"""What the simulator passes around: one event before it is published, one record after."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

SENDS: Final = "sends"
RECEIPTS: Final = "receipts"
ENGAGEMENTS: Final = "engagements"
CAMPAIGNS: Final = "campaigns"
ACCOUNTS: Final = "accounts"
REQUESTS: Final = "suppression-requests"
Kind = Literal["sends", "receipts", "engagements", "campaigns", "accounts", "suppression-requests"]
KINDS: Final[tuple[Kind, ...]] = (SENDS, RECEIPTS, ENGAGEMENTS, CAMPAIGNS, ACCOUNTS, REQUESTS)
COMPACTED = (CAMPAIGNS, ACCOUNTS)


class Event(NamedTuple):
    """One event to publish. Ordered by `arrival_ms`, then `seq`.

    arrival_ms: Kafka CreateTime, epoch ms. seq: unique within a run. kind: one of `KINDS`.
    note: why it exists ("send", "duplicate", "stray:wrong_key", "broken:not_json" ...).
    expect: the refusal reason of its dead letter, "" for a valid event.
    shift: partitions away from the one its key belongs to (0 but for strays).
    """

    arrival_ms: int
    seq: int
    kind: str
    key: bytes | None
    value: bytes | None
    note: str = ""
    expect: str = ""
    shift: int = 0


class Published(NamedTuple):
    """One record as the broker acknowledged it: a line of the truth file."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    kind: str
    note: str = ""
    expect: str = ""
