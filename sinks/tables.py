"""The tables the sink writes to: columns in the order of the rows, and their types on the wire.

A test compares the types with the schema. Times are integers (epoch ms), credits integers of 10^-6.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

from models.counters import COUNT_NAMES
from models.message_row import MESSAGE_COLUMNS

Row = tuple[Any, ...]
Columns = tuple[str, ...]

_WORD: Final = "LowCardinality(String)"
_TIME: Final = "DateTime64(3, 'UTC')"
_WORDS: Final = "Array(LowCardinality(String))"
_SUM_OF_CREDITS: Final = "Decimal(38, 6)"


class Table(NamedTuple):
    """A table, its columns and their types; rows are tuples in this order."""

    name: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    micro: tuple[int, ...]
    """Places of the columns that hold 10^-6 of a credit or of a currency."""
    rare: tuple[int, ...]
    """Places of columns that are often empty in all rows; their default is the empty value."""

    def row(self, **values: Any) -> Row:
        """A row from its values by column. Raises KeyError for a column without a value, TypeError
        for a value without a column."""
        if len(values) > len(self.names):
            raise TypeError(f"{self.name} has no columns {sorted(values.keys() - set(self.names))}")
        return tuple([values[name] for name in self.names])

    def columns(self, rows: Sequence[Row]) -> tuple[Columns, Columns, list[Sequence[Any]]]:
        """Names, types and values of the columns to insert. There must be rows.

        Rare columns are left out where all rows have the default: a tenth of the insert's time.
        """
        values: list[Sequence[Any]] = list(zip(*rows, strict=True))
        empty = {place for place in self.rare if not any(values[place])}
        for place in self.micro:
            if place not in empty:
                values[place] = [_decimal(micro) for micro in values[place]]
        if not empty:
            return self.names, self.types, values
        kept = [place for place in range(len(values)) if place not in empty]
        return (
            tuple([self.names[place] for place in kept]),
            tuple([self.types[place] for place in kept]),
            [values[place] for place in kept],
        )


@lru_cache(maxsize=65_536)
def _decimal(micro: int) -> Decimal:
    return Decimal(micro).scaleb(-6)


def _table(name: str, columns: Iterable[tuple[str, str]], rare: str = "") -> Table:
    pairs = [(word, kind) for words, kind in columns for word in words.split()]
    names, types = tuple(word for word, _ in pairs), tuple(kind for _, kind in pairs)
    micro = tuple(place for place, kind in enumerate(types) if kind.startswith("Decimal"))
    return Table(name, names, types, micro, tuple(map(names.index, rare.split())))


MESSAGES: Final = _table(
    "messages",
    [*((column.name, column.type) for column in MESSAGE_COLUMNS), ("is_deleted", "UInt8")],
    rare="provider_message_id template category reference mccmnc price currency converted_at "
    "automated_clicked_at repaired",
)
ORPHANS: Final = _table(
    "orphans",
    [
        ("account", _WORD),
        ("message_id", "String"),
        ("status bounce scope error_code error_text fail_reason provider", _WORD),
        ("provider_message_id recipient", "String"),
        ("occurred_at queued_at delivered_at read_at", _TIME),
        ("version", "UInt64"),
        ("is_deleted", "UInt8"),
    ],
)
TEXTS: Final = _table(
    "message_texts",
    [
        ("account", _WORD),
        ("message_id", "String"),
        ("attempt", "UInt16"),
        ("sent_at", _TIME),
        ("text", "String"),
        ("version", "UInt64"),
        ("source", _WORD),
    ],
)
COUNTERS: Final = _table(
    "status_counters",
    [
        ("kind", _WORD),
        ("window_start", _TIME),
        ("account channel source country provider campaign_id", _WORD),
        ("shard", "UInt16"),
        ("version", "UInt64"),
        *((name, _SUM_OF_CREDITS if name == "credits" else "UInt64") for name in COUNT_NAMES),
    ],
)
ENGAGEMENTS: Final = _table(
    "engagements",
    [
        ("account", _WORD),
        ("event_id", "String"),
        ("type", _WORD),
        ("occurred_at", _TIME),
        ("message_id recipient", "String"),
        ("campaign_id link_id", _WORD),
        ("url", "String"),
        ("version", "UInt64"),
        ("channel", _WORD),
        ("user_agent", "String"),
        ("automated", "Bool"),
        ("person", "String"),
    ],
)
RECEIPT_EVENTS: Final = _table(
    "receipt_events",
    [
        ("account", _WORD),
        ("message_id", "String"),
        ("occurred_at", _TIME),
        ("partition", "Int32"),
        ("offset", "Int64"),
        ("attempt", "UInt8"),
        ("status bounce scope error_code", _WORD),
        ("error_text", "String"),
        ("provider", _WORD),
        ("provider_message_id recipient", "String"),
        ("part parts", "UInt8"),
        ("mccmnc", _WORD),
        ("price", "Decimal(18, 6)"),
        ("currency", _WORD),
        ("received_at", _TIME),
        ("published_at", _TIME),
        ("repaired", _WORDS),
        ("provider_status", _WORD),
    ],
    rare="provider_message_id recipient part parts mccmnc price currency received_at repaired "
    "provider_status",
)
CAMPAIGNS: Final = _table(
    "campaigns",
    [
        ("account", _WORD),
        ("campaign_id name", "String"),
        ("message_type", _WORD),
        ("text", "String"),
        ("creator method status", _WORD),
        ("target_audience", "UInt64"),
        ("audience", "String"),
        ("created_at started_at ended_at", _TIME),
        ("last_modified_by", _WORD),
        ("updated_at", _TIME),
        ("version", "UInt64"),
    ],
)
DEAD_LETTERS: Final = _table(
    "dead_letter_records",
    [
        ("topic", _WORD),
        ("partition", "Int32"),
        ("offset", "Int64"),
        ("time", _TIME),
        ("reason", _WORD),
        ("detail key value", "String"),
        ("has_key has_value", "UInt8"),
        ("dead_offset", "Int64"),
        ("version", "UInt64"),
    ],
)
ACCOUNTS: Final = _table(
    "accounts",
    [
        ("account", _WORD),
        ("suppress_hard_bounces", "Bool"),
        ("strike_limit", "UInt8"),
        ("strikes_reset_on_delivery", "Bool"),
        ("suppression_days", "UInt16"),
        ("retry_soft_bounces", "Bool"),
        ("retry_every_s retry_for_s validity_s", "UInt32"),
        ("time_zone", _WORD),
        ("text_days recipient_days", "UInt16"),
        ("fail_reasons", "Map(String, String)"),
        ("updated_at published_at", _TIME),
        ("version", "UInt64"),
        ("is_deleted", "UInt8"),
        ("codes", "Map(String, String)"),
        ("unsubscribe_binds", _WORD),
    ],
)
STRIKES: Final = _table(
    "strikes",
    [
        ("account", _WORD),
        ("recipient", "String"),
        ("sent_at", _TIME),
        ("message_id", "String"),
        ("struck", "Bool"),
        ("occurred_at", _TIME),
        ("code", _WORD),
        ("version", "UInt64"),
        ("channel", _WORD),
    ],
)
SUPPRESSIONS: Final = _table(
    "suppression_records",
    [
        ("account", _WORD),
        ("recipient", "String"),
        ("suppressed", "Bool"),
        ("reasons", _WORDS),
        ("since until", _TIME),
        ("strikes", "UInt16"),
        ("published_at", _TIME),
        ("version", "UInt64"),
        ("channel binds", _WORD),
    ],
)
SUPPRESSION_VERSIONS: Final = SUPPRESSIONS._replace(name="suppression_versions")
SUPPRESSION_REQUESTS: Final = _table(
    "suppression_requests",
    [
        ("account", _WORD),
        ("recipient", "String"),
        ("at", _TIME),
        ("action who", _WORD),
        ("why", "String"),
        ("channel", _WORD),
    ],
)
RETRIES: Final = _table(
    "retry_requests",
    [
        ("account", _WORD),
        ("message_id", "String"),
        ("attempt", "UInt16"),
        ("first_sent_at due_at", _TIME),
        ("recipient", "String"),
        ("channel", _WORD),
        ("published_at", _TIME),
        ("version", "UInt64"),
    ],
)
UNMATCHED: Final = _table(
    "unmatched_receipt_records",
    [
        ("account", _WORD),
        ("id", "String"),
        ("received_at", _TIME),
        ("message_id", "String"),
        ("reported", "Bool"),
        ("at", _TIME),
        ("endpoint provider", _WORD),
        ("provider_message_id reference recipient", "String"),
        ("status provider_status error_code", _WORD),
        ("error_text", "String"),
        ("occurred_at", _TIME),
        ("version", "UInt64"),
    ],
)

ALL: Final = (
    MESSAGES,
    ORPHANS,
    TEXTS,
    COUNTERS,
    ENGAGEMENTS,
    RECEIPT_EVENTS,
    CAMPAIGNS,
    DEAD_LETTERS,
    ACCOUNTS,
    STRIKES,
    SUPPRESSIONS,
    SUPPRESSION_VERSIONS,
    SUPPRESSION_REQUESTS,
    RETRIES,
    UNMATCHED,
)
