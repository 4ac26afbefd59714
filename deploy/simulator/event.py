"""An event before it is published, and the record after."""

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
    note: its origin ("duplicate", "misrouted:wrong_key", "broken:not_json" ...).
    expect: the refusal reason of its dead letter, "" for a valid event.
    shift: distance in partitions from that of its key (not 0 for some misrouted events).
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
