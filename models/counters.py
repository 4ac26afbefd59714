"""Windowed counters: a fold over message states (docs/design.md, convergence).

A message contributes to at most three cells: its hour, its day, and its campaign. Campaign cells
are kept by day as well, so that they can become final together with the states of that day (ADR
0003); people read them summed over days.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from models.state import MessageState, is_pending, provider_of
from models.time import DAY_MS
from models.versions import check_version
from models.vocabulary import COUNTS, SUCCESSES, Bounce, Status

HOUR_MS: Final = 3_600_000

#: Places of a cell's numbers: messages by what they count under, then their sums.
COUNT_NAMES: Final = (*(count.name for count in COUNTS), "segments", "credits")
_SEGMENTS: Final = COUNT_NAMES.index("segments")
_CREDITS: Final = COUNT_NAMES.index("credits")
_EXPIRED: Final = COUNT_NAMES.index("expired")
_SUBMITTED: Final = COUNT_NAMES.index("submitted")
_SOFT: Final = COUNT_NAMES.index("undelivered_soft")
_UNDELIVERED: Final = Status.UNDELIVERED.value
_HARD: Final = Bounce.HARD.value

_pending_of: Final = itemgetter(
    *(place for place, count in enumerate(COUNTS) if count.status.is_pending)
)
_CELLS_AT_ONCE: Final = 20_000
#: How the key of an hour begins; its start follows.
_HOUR_KEY: Final = b'["hour",'

#: The two counts of soft bounces depend on more than the status.
_SLOT_OF_STATUS: Final = {
    count.status.value: place
    for place, count in enumerate(COUNTS)
    if count.bounce is not Bounce.SOFT
}

#: What has become of the messages of a count, for metrics; "": they are pending.
OUTCOMES: Final = tuple(
    ""
    if count.status.is_pending
    else Status.DELIVERED.word
    if count.status.is_success
    else count.name
    if count.name == "expired"
    else count.status.word
    for count in COUNTS
)

#: hour (ms), account, channel, source, country, provider, campaign
Dimensions = tuple[int, str, str, str, str, str, str]


#: What one message adds to its cells: dimensions, index of its count, segments, micro-credits.
Contribution = tuple[Dimensions, int, int, int]


def contribution(account: str, state: MessageState) -> Contribution | None:
    """What a state adds to its cells; None for orphans and for received messages."""
    sends = state.sends
    if not sends:
        return None
    first = sends[0]
    if first.direction == "inbound":
        return None
    sent_at = first.first_sent_at
    dimensions = (
        sent_at - sent_at % HOUR_MS,
        account,
        first.channel,
        first.source,
        first.country,
        provider_of(state),
        first.campaign_id,
    )
    if len(sends) == 1:
        return dimensions, _count_index(state), first.segments, first.credits
    segments = sum(send.segments for send in sends)
    micro = sum(send.credits for send in sends)
    return dimensions, _count_index(state), segments, micro


def _count_index(state: MessageState) -> int:
    outcome = state.outcome
    if outcome is not None and outcome.status in SUCCESSES:
        return _SLOT_OF_STATUS[outcome.status]
    if is_pending(state):
        if state.expired_at:
            return _EXPIRED
        if outcome is None or state.sends[-1].attempt > outcome.attempt:
            return _SUBMITTED
        return _SLOT_OF_STATUS.get(outcome.status, _SUBMITTED)
    assert outcome is not None  # not pending
    if outcome.status == _UNDELIVERED and outcome.bounce != _HARD:
        return _SOFT
    return _SLOT_OF_STATUS[outcome.status]


class Cell:
    """One counter cell: its key, its numbers in the order of `COUNT_NAMES`."""

    __slots__ = ("counts", "day", "key")

    def __init__(self, key: bytes, day: int) -> None:
        self.key = key
        self.day = day
        self.counts = [0] * len(COUNT_NAMES)


class CellRow(NamedTuple):
    """A published cell as the sink writes it."""

    kind: str
    window_start: int
    account: str
    channel: str
    source: str
    country: str
    provider: str
    campaign_id: str
    partition: int
    version: int
    counts: tuple[int, ...]


_Key = tuple[str, int, str, str, str, str, str, str, int]
_encode_json: Final = msgspec.json.Encoder().encode
_decode_key: Final = msgspec.json.Decoder(_Key).decode
_decode_names: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
#: version and `COUNT_NAMES`; a count that the writer did not know is 0, one that we do not know is
#: skipped.
_Numbers: Final = msgspec.defstruct(
    "_Numbers", [("version", int), *((name, int, 0) for name in COUNT_NAMES)]
)
_decode_numbers: Final[Any] = msgspec.json.Decoder(_Numbers).decode
_NAMES: Final = frozenset(("version", *COUNT_NAMES))

#: Windows that this version counts by; cells of others are left as they are.
KINDS: Final = frozenset({"hour", "day", "campaign"})
#: Kind of the record with the day up to which a partition's cells are final.
RETIRED: Final = "retired"


#: A record's value without its numbers, when its names are those of this version.
_DIGITS: Final = b"-0123456789"
_SHAPE: Final = _encode_json(dict.fromkeys(("version", *COUNT_NAMES), 0)).translate(None, _DIGITS)


class _Mark(msgspec.Struct):
    version: int
    day: int


_decode_mark: Final = msgspec.json.Decoder(_Mark).decode


def cell_key(
    kind: str, window_start: int, dimensions: tuple[str, str, str, str, str, str], partition: int
) -> bytes:
    """Record key of a cell: JSON [kind, window start ms, account, channel, source, country,
    provider, campaign, partition]."""
    return _encode_json((kind, window_start, *dimensions, partition))


def encode_cell(version: int, counts: Iterable[int]) -> bytes:
    """Record value of a cell: a JSON object of its version and its numbers."""
    return _encode_json({"version": version, **dict(zip(COUNT_NAMES, counts, strict=True))})


def decode_cell(key: bytes, value: bytes) -> CellRow | None:
    """Read a record of `status-counters`; None for the mark of retired days, which is not a cell.

    Raises msgspec.DecodeError when it is not one of ours.
    """
    kind, start, account, channel, source, country, provider, campaign, partition = _decode_key(key)
    if kind == RETIRED:
        return None
    version, *counts = msgspec.structs.astuple(_decode_numbers(value))
    return CellRow(
        kind,
        start,
        account,
        channel,
        source,
        country,
        provider,
        campaign,
        partition,
        version,
        tuple(counts),
    )


def check_record(key: bytes, value: bytes) -> None:
    """Raises DecodeError, KeyError or ValueError unless a record of `status-counters` is ours."""
    cell = decode_cell(key, value)
    check_version(cell.version if cell is not None else decode_retired(value)[0])


class PublishedCells(NamedTuple):
    """A partition's restored records of `status-counters`.

    rows: by key, without the mark of retired days
    retired: (version, last retired day) of that mark; (0, -1): no mark
    newer: counts and kinds that only a newer version knows, and in how many records
    """

    rows: dict[bytes, CellRow]
    retired: tuple[int, int]
    newer: Counter[str]


def read_cells(published: Mapping[bytes, bytes], partition: int) -> PublishedCells:
    """Read a partition's restored records of `status-counters`; `check_record` accepted each."""
    rows: dict[bytes, CellRow] = {}
    newer: Counter[str] = Counter()
    retired, mark = (0, -1), retired_key(partition)
    for key, value in published.items():
        if key == mark:
            retired = decode_retired(value)
        elif (row := decode_cell(key, value)) is not None:
            if row.kind not in KINDS or value.translate(None, _DIGITS) != _SHAPE:
                newer.update(_unknown_names(row.kind, value))
            rows[key] = row
    return PublishedCells(rows, retired, newer)


def _unknown_names(kind: str, value: bytes) -> list[str]:
    if kind not in KINDS:
        return [f"kind {kind!r}"]
    return [f"count {name!r}" for name in sorted(_decode_names(value).keys() - _NAMES)]


def retired_key(partition: int) -> bytes:
    """Key of a partition's mark of retired days."""
    return cell_key(RETIRED, 0, ("", "", "", "", "", ""), partition)


def encode_retired(version: int, day: int) -> bytes:
    """The mark: all days up to and including `day` (days since 1970) are final."""
    return _encode_json({"version": version, "day": day})


def decode_retired(value: bytes) -> tuple[int, int]:
    """(version, last retired day) of a mark. Raises msgspec.DecodeError when it is not a mark."""
    mark = _decode_mark(value)
    return mark.version, mark.day


class Cells:
    """The cells of one partition, kept equal to the fold of its states.

    saved: changes are kept for `take_unsaved` and `take_forgotten`
    dirty: the cells changed since they were last taken for publication
    stale_keys: keys of final cells that a crash left in the topic, to be tombstoned
    """

    def __init__(self, partition: int, *, saved: bool = False) -> None:
        self.partition = partition
        self._saved = saved
        self.by_key: dict[bytes, Cell] = {}
        self.dirty: set[Cell] = set()
        self._unsaved: set[Cell] = set()
        self.stale_keys: list[bytes] = []
        self._forgotten: list[bytes] = []
        self._of_message: dict[Dimensions, tuple[Cell, ...]] = {}

    def add(self, entering: Contribution) -> None:
        """Count a message in."""
        dimensions, index, segments, micro = entering
        cells = self._of_message.get(dimensions) or self._open(dimensions)
        for cell in cells:
            counts = cell.counts
            counts[index] += 1
            counts[_SEGMENTS] += segments
            counts[_CREDITS] += micro
        self.dirty.update(cells)

    def remove(self, leaving: Contribution) -> None:
        """Count a message out that was counted in before."""
        dimensions, index, segments, micro = leaving
        cells = self._of_message.get(dimensions) or self._open(dimensions)
        for cell in cells:
            counts = cell.counts
            counts[index] -= 1
            counts[_SEGMENTS] -= segments
            counts[_CREDITS] -= micro
        self.dirty.update(cells)

    def _open(self, dimensions: Dimensions) -> tuple[Cell, ...]:
        hour, account, channel, source, country, provider, campaign = dimensions
        day_start = hour - hour % DAY_MS
        who = (account, channel, source, country, provider, "")
        keys = [
            cell_key("hour", hour, who, self.partition),
            cell_key("day", day_start, who, self.partition),
        ]
        if campaign:
            ran = (account, "", "", "", "", campaign)
            keys.append(cell_key("campaign", day_start, ran, self.partition))
        cells = tuple(self._cell(key, day_start // DAY_MS) for key in keys)
        self._of_message[dimensions] = cells
        return cells

    def _cell(self, key: bytes, day: int) -> Cell:
        return self.by_key.get(key) or self.by_key.setdefault(key, Cell(key, day))

    def pending(self) -> Iterator[Counter[int]]:
        """Pending messages by the begin of their hour, epoch ms: to be added up over some thousand
        cells at a time, so that others may run in between."""
        cells = list(self.by_key.values())
        for start in range(0, len(cells), _CELLS_AT_ONCE):
            found: Counter[int] = Counter()
            for cell in cells[start : start + _CELLS_AT_ONCE]:
                numbers = _pending_of(cell.counts)
                if any(numbers) and cell.key.startswith(_HOUR_KEY):
                    begin = cell.key[len(_HOUR_KEY) :].partition(b",")[0]
                    found[int(begin)] += sum(numbers)
            yield found

    def compare(self, published: Mapping[bytes, CellRow], retired_day: int) -> None:
        """After a restore: mark as dirty what differs from what was last published.

        A cell that was published and is no longer in the fold becomes zero. Cells of retired days
        are final and stay as they were published, and so do those of a kind we do not count.
        """
        if self._saved:  # what was folded is to be saved, whether it was published or not
            self._unsaved |= self.dirty
        self.dirty = set(self.by_key.values())
        for key, row in published.items():
            if row.kind not in KINDS:
                continue
            if row.window_start // DAY_MS <= retired_day:
                self.stale_keys.append(key)
                continue
            cell = self._cell(key, row.window_start // DAY_MS)
            if tuple(cell.counts) == row.counts:
                self.dirty.discard(cell)
            else:
                self.dirty.add(cell)

    def take_dirty(self) -> Iterator[Cell]:
        """The cells to publish now; they count as published from here on."""
        dirty, self.dirty = self.dirty, set()
        if self._saved:
            self._unsaved |= dirty
        yield from dirty

    def take_unsaved(self) -> list[Cell]:
        """The cells changed since the last call."""
        unsaved, self._unsaved = self._unsaved | self.dirty, set()
        return [cell for cell in unsaved if self.by_key.get(cell.key) is cell]

    def take_forgotten(self) -> list[bytes]:
        """Keys of the cells that were retired since the last call."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def load(self, saved: Iterable[tuple[bytes, list[int]]]) -> None:
        """Begin with cells that were saved: (key, numbers)."""
        for key, counts in saved:
            start = _decode_key(key)[1]
            known = self._cell(key, start // DAY_MS).counts
            # A newer version may have saved more, an older one fewer numbers.
            known[: len(counts)] = counts[: len(known)]

    def retire(self, day: int) -> list[bytes]:
        """Forget the cells up to and including a day; their keys, to be tombstoned."""
        keys = [*self.forget(day), *self.stale_keys]
        self.stale_keys = []
        return keys

    def forget(self, day: int) -> list[bytes]:
        """Forget the cells up to and including a day; their keys."""
        keys = [key for key, cell in self.by_key.items() if cell.day <= day]
        for key in keys:
            self.dirty.discard(self.by_key.pop(key))
        if self._saved:
            self._forgotten += keys
        last_hour = (day + 1) * DAY_MS
        self._of_message = {
            dimensions: cells
            for dimensions, cells in self._of_message.items()
            if dimensions[0] >= last_hour
        }
        return keys
