"""An event before it is published, and the record after."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

SENDS: Final = "sends"
RECEIPTS: Final = "receipts"
ENGAGEMENTS: Final = "engagements"
CAMPAIGNS: Final = "campaigns"
ACCOUNTS: Final = "accounts"
REQUESTS: Final = "suppression-requests"
Kind = Literal["sends", "receipts", "engagements", "campaigns", "accounts", "suppression-requests",
               "callbacks", "provider-ids"]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = (SENDS, RECEIPTS, ENGAGEMENTS, CAMPAIGNS, ACCOUNTS, REQUESTS)
COMPACTED = (CAMPAIGNS, ACCOUNTS)
#: Where endpoints are set. Callbacks are not published but posted to `receipts listen`: the value
#: is a JSON list of what each receipt in it says.
CALLBACKS: Final = "callbacks"
PROVIDER_IDS: Final = "provider-ids"
EVERY_KIND: Final[tuple[Kind, ...]] = (*KINDS, CALLBACKS, PROVIDER_IDS)
FORGED: Final = "forged"


class Event(NamedTuple):
    """One event to publish. Ordered by `arrival_ms`, then `seq`.

    arrival_ms: Kafka CreateTime, epoch ms. seq: unique within a run. kind: one of `KINDS`,
    `CALLBACKS` or `PROVIDER_IDS`.
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
    """One record as the broker acknowledged it, or a callback as the listener answered it: a line
    of the truth file. Partition and offset of a callback are not known, and 0."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    kind: str
    note: str = ""
    expect: str = ""
