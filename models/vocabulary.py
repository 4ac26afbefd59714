"""The field's words as types, and the table of statuses from which all else about them follows."""

from enum import IntEnum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

Channel = Literal["sms", "whatsapp"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
Direction = Literal["outbound", "inbound"]
Source = Literal[
    "direct",
    "verification",
    "open_api_direct",
    "open_api_verification",
    "campaign",
    "program",
]
BounceWord = Literal["soft", "hard"]
Scope = Literal["recipient", "content", "sender", "account", "route", "network", "policy", "time"]
EngagementType = Literal["click", "unsubscribe", "resubscribe", "conversion"]
PlatformStatus = Literal["submitted", "rejected"]
#: "": the platform rejected the message, so no carrier saw it.
CarrierStatus = Literal["", "queued", "delivered", "undelivered"]


class Bounce(IntEnum):
    """Kind of a failure; the numbers are stored in message states and never change meaning."""

    NONE = 0
    SOFT = 1
    HARD = 2


class Status(IntEnum):
    """Status of one message: its stored number, its rank, what platform and carrier did.

    The numbers are stored in message states and never change meaning. rank: the greater receipt of
    an attempt wins (docs/design.md). also: a second word of receipts with this meaning.
    """

    rank: int
    platform: PlatformStatus
    carrier: CarrierStatus
    also: str

    def __new__(
        cls,
        number: int,
        rank: int,
        platform: PlatformStatus,
        carrier: CarrierStatus,
        also: str = "",
    ) -> "Status":
        status = int.__new__(cls, number)
        status._value_ = number
        status.rank, status.platform, status.carrier, status.also = rank, platform, carrier, also
        return status

    SUBMITTED = 0, 0, "submitted", "queued"
    QUEUED = 1, 1, "submitted", "queued", "sent"
    DELIVERED = 5, 4, "submitted", "delivered"
    READ = 6, 5, "submitted", "delivered"
    UNDELIVERED = 2, 2, "submitted", "undelivered"  # a hard one ranks as rejected: models/facts.py
    REJECTED = 3, 3, "rejected", ""
    DELETED = 4, 3, "submitted", "undelivered"

    @property
    def word(self) -> str:
        return self.name.lower()

    @property
    def is_pending(self) -> bool:
        return self.carrier == "queued"

    @property
    def is_success(self) -> bool:
        return self.carrier == "delivered"

    @property
    def is_failure(self) -> bool:
        return not self.is_pending and not self.is_success


class Count(NamedTuple):
    """A word that messages are counted under: a column of the counters, a value of `outcome`.

    status, bounce: of the messages it counts. meaning: of the column.
    """

    name: str
    status: Status
    meaning: str
    bounce: Bounce = Bounce.NONE


#: Every message is counted under one of these. A new one is the last: columns keep their order.
COUNTS: Final = (
    Count("submitted", Status.SUBMITTED, "messages now submitted"),
    Count("queued", Status.QUEUED, "messages now queued"),
    Count("delivered", Status.DELIVERED, "messages now delivered and not read"),
    Count("read", Status.READ, "messages now read"),
    Count(
        "undelivered_soft",
        Status.UNDELIVERED,
        "messages now undelivered for a temporary reason, expired ones not included",
        Bounce.SOFT,
    ),
    Count("undelivered_hard", Status.UNDELIVERED, "messages now undelivered for good", Bounce.HARD),
    Count(
        "expired",
        Status.UNDELIVERED,
        "messages whose validity ran out while they were pending",
        Bounce.SOFT,
    ),
    Count("rejected", Status.REJECTED, "messages now rejected"),
    Count("deleted", Status.DELETED, "messages now deleted by the network"),
)

#: A number that a newer version has stored is in none of these: it is neither a success nor a
#: failure, and the message waits (docs/semantics.md, upgrades).
SUCCESSES: Final = frozenset(status.value for status in Status if status.is_success)
FAILURES: Final = frozenset(status.value for status in Status if status.is_failure)
FINAL_STATUSES: Final = SUCCESSES | FAILURES
STATUSES: Final = frozenset(status.value for status in Status)
BOUNCES: Final = frozenset(bounce.value for bounce in Bounce)

#: Words of receipts.
STATUS_OF_WORD: Final[dict[str, Status]] = {
    word: status for status in Status for word in filter(None, (status.word, status.also))
}
#: Word of a receipt that decides nothing.
UNKNOWN_WORD: Final = "unknown"


class ReadWord(str):
    """A status word of ours, read for a provider's, which may say more: EXPIRED, opted_out.

    word: the provider's
    """

    word: str

    @classmethod
    def of(cls, ours: str, word: str) -> "ReadWord":
        read = cls(ours)
        read.word = word
        return read


if TYPE_CHECKING:
    ReceiptWord = str  # one of STATUS_OF_WORD, once validated
else:
    ReceiptWord = Literal[tuple(STATUS_OF_WORD)]
