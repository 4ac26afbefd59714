"""The figures that messages are counted into, and the SQL about them that statements share.

`is_NAME` is 1 for a message of `reported_messages`, the number of messages for a cell of
`reported_counts`; a report sums it as NAME.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from clickhouse_connect.driver.binding import format_str

from models.clicks import AFTER_DELIVERY_MS, OTHER_LINK_MS
from models.suppression import VERIFICATION_SOURCES
from models.time import MAX_CLOCK_ERROR_MS
from models.view_columns import message_columns
from models.vocabulary import CHANNELS, COUNTS, Bounce, Count


class Figure(NamedTuple):
    """A number of messages.

    meaning: of its column in reports. one: of its flag, the same about one message. holds: whether
    it includes the messages counted under a word
    """

    name: str
    label: str
    meaning: str
    one: str
    holds: Callable[[Count], bool]

    @property
    def counts(self) -> list[str]:
        """The words whose messages it includes."""
        return [count.name for count in COUNTS if self.holds(count)]


def _is_undelivered(count: Count) -> bool:
    return count.status.carrier == "undelivered"


FIGURES: Final = (
    Figure(
        "sent",
        "Sent",
        "messages sent: submitted + rejected",
        "sent and not received: submitted or rejected",
        lambda _: True,
    ),
    Figure(
        "submitted",
        "Submitted",
        "messages the platform took: queued + delivered + undelivered",
        "taken by the platform: queued, delivered or undelivered",
        lambda count: count.status.platform == "submitted",
    ),
    Figure(
        "queued",
        "Queued",
        "submitted messages the network has not decided about yet; also: pending",
        "submitted and not decided by the network yet; on WhatsApp pages pending",
        lambda count: count.status.is_pending,
    ),
    Figure(
        "delivered",
        "Delivered",
        "messages delivered, read ones included",
        "delivered or read",
        lambda count: count.status.is_success,
    ),
    Figure(
        "read",
        "Read",
        "delivered messages that were opened, as far as phones tell",
        "read; read messages are delivered too",
        lambda count: count.name == "read",
    ),
    Figure(
        "undelivered",
        "Undelivered",
        "submitted messages that failed, for example bounced, expired or deleted",
        "submitted and failed, for example bounced, expired or deleted",
        _is_undelivered,
    ),
    Figure(
        "soft",
        "Soft bounces",
        "undelivered for a temporary reason, expired ones included",
        "undelivered for a temporary reason, expired ones included",
        lambda count: _is_undelivered(count) and count.bounce is Bounce.SOFT,
    ),
    Figure(
        "hard",
        "Hard bounces",
        "undelivered for good",
        "undelivered for good",
        lambda count: _is_undelivered(count) and count.bounce is Bounce.HARD,
    ),
    Figure(
        "expired",
        "Expired",
        "undelivered because their validity ran out; among the soft bounces",
        "undelivered because the validity ran out; among the soft ones",
        lambda count: count.name == "expired",
    ),
    Figure(
        "deleted",
        "Deleted",
        "the network deleted the number or the message",
        "deleted by the network: the number or the message",
        lambda count: count.name == "deleted",
    ),
    Figure(
        "rejected",
        "Rejected",
        "messages the platform or the provider refused",
        "refused by the platform or the provider",
        lambda count: count.status.platform == "rejected",
    ),
    Figure(
        "failed",
        "Failed",
        "undelivered + rejected",
        "undelivered or rejected",
        lambda count: count.status.is_failure,
    ),
)


def column_definitions(columns: Iterable[tuple[str, str, str]]) -> str:
    """Columns of a view by name, type and meaning, as CREATE VIEW lists them."""
    return _lines(f"{name} {kind} COMMENT {format_str(meaning)}" for name, kind, meaning in columns)


def _lines(texts: Iterable[str]) -> str:
    return ",\n    ".join(texts)


def _condition(counts: list[str]) -> str:
    """Whether a message is counted under one of the words; inbound ones are under none.

    By exclusion where that is shorter.
    """
    others = ["received", *(count.name for count in COUNTS if count.name not in counts)]
    if len(others) <= 2:
        return f"outcome NOT IN {_words(others)}"
    return f"outcome IN {_words(counts)}"


def _words(words: list[str]) -> str:
    return f"({', '.join(map(format_str, words))})"


_COUNT_NAMES: Final = [count.name for count in COUNTS]
_DELAY_MS: Final = "dateDiff('millisecond', sent_at, delivered_at)"

#: What a statement includes by its name, besides the files in `sql/parts/`.
PARTS: Final = {
    "message_columns": column_definitions(column[:3] for column in message_columns()),
    "message_values": _lines(column.value for column in message_columns()),
    "flag_columns": column_definitions(
        (f"is_{figure.name}", "UInt8", f"1: {figure.one}") for figure in FIGURES
    ),
    "flag_values": _lines(f"{_condition(figure.counts)} AS is_{figure.name}" for figure in FIGURES),
    "figure_columns": column_definitions(
        (f"is_{figure.name}", "UInt64", f"messages {figure.one}") for figure in FIGURES
    ),
    "figure_values": _lines(
        f"{' + '.join(figure.counts)} AS is_{figure.name}" for figure in FIGURES
    ),
    "figure_names": ", ".join(f"is_{figure.name}" for figure in FIGURES),
    "figure_sums": _lines(f"sum(is_{figure.name}) AS {figure.name}" for figure in FIGURES),
    "no_figures": ", ".join("0" for _ in FIGURES),
    "seconds_to_deliver": (
        f"if(is_delivered AND {_DELAY_MS} >= -{MAX_CLOCK_ERROR_MS}, "
        f"greatest(0, {_DELAY_MS}) / 1000, NULL) AS seconds_to_deliver"
    ),
    "count_names": ", ".join(_COUNT_NAMES),
    "after_delivery_ms": str(AFTER_DELIVERY_MS),
    "other_link_ms": str(OTHER_LINK_MS),
    "channels": f"[{', '.join(map(format_str, CHANNELS))}]",
    "verification_sources": _words(sorted(VERIFICATION_SOURCES)),
    "count_conditions": ", ".join(f"outcome = {format_str(name)}" for name in _COUNT_NAMES),
}
