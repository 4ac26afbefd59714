"""The field's words as types: what an event may hold, and what a table may show."""

from enum import IntEnum
from typing import Final, Literal

Channel = Literal["sms", "whatsapp"]
Direction = Literal["outbound", "inbound"]
Source = Literal[
    "direct",
    "verification",
    "open_api_direct",
    "open_api_verification",
    "campaign",
    "program",
]
ReceiptWord = Literal[
    "submitted", "queued", "sent", "delivered", "read", "undelivered", "rejected", "deleted"
]
BounceWord = Literal["soft", "hard"]
Scope = Literal["recipient", "content", "sender", "account", "route", "network", "policy", "time"]
EngagementType = Literal["click", "unsubscribe"]


class Status(IntEnum):
    """Status of one message; the numbers are stored in message states and never change meaning."""

    SUBMITTED = 0
    QUEUED = 1
    UNDELIVERED = 2
    REJECTED = 3
    DELETED = 4
    DELIVERED = 5
    READ = 6

    @property
    def word(self) -> str:
        return self.name.lower()


class Bounce(IntEnum):
    """Kind of a failure; the numbers are stored in message states and never change meaning."""

    NONE = 0
    SOFT = 1
    HARD = 2


#: A number that a newer version has stored is in none of these: it is neither a success nor a
#: failure, and the message waits (docs/semantics.md, upgrades).
SUCCESSES: Final = frozenset({Status.DELIVERED.value, Status.READ.value})
FAILURES: Final = frozenset({Status.UNDELIVERED.value, Status.REJECTED.value, Status.DELETED.value})
FINAL_STATUSES: Final = SUCCESSES | FAILURES
STATUSES: Final = frozenset(status.value for status in Status)
BOUNCES: Final = frozenset(bounce.value for bounce in Bounce)

#: Receipts that say "sent" count as queued (docs/design.md).
STATUS_OF_WORD: Final[dict[str, Status]] = {
    "submitted": Status.SUBMITTED,
    "queued": Status.QUEUED,
    "sent": Status.QUEUED,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "undelivered": Status.UNDELIVERED,
    "rejected": Status.REJECTED,
    "deleted": Status.DELETED,
}
