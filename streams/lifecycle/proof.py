"""Whether timers, days and cells of a partition's messages are what its states lead to. Pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from models.accounts import Accounts
from models.counters import COUNT_NAMES, KINDS, Cells, PublishedCells, contribution
from models.joining import decide, is_undecided
from models.keys import account_of
from models.masking import mask_key
from models.retries import wakes_at
from models.state import MessageState, decode, retention_day
from models.time import DAY_MS
from streams.batching import Row
from streams.common.proof import ANYTHING, Findings, Follows, TableProof, second_of
from streams.lifecycle.shard import Shard

_NOTHING: Final = tuple([0] * len(COUNT_NAMES))


class MessagesProof(TableProof):
    """The states of one partition, against its shard, which has the noted cells.

    shard: made of the store, nothing folded; its accounts are those that are known now
    """

    def __init__(self, shard: Shard, findings: Findings) -> None:
        super().__init__(findings)
        self._accounts = shard.accounts
        self._retired_day = shard.retired_day
        self._uncounted: Collection[bytes] = shard.uncounted
        self._changed = shard.accounts_to_rearm()
        self._noted = {key: tuple(cell.counts) for key, cell in shard.cells.by_key.items()}
        self._folded = Cells(shard.partition)

    def follow(self, key: bytes, value: bytes) -> Follows:
        """See TableProof."""
        if key in self._uncounted:
            self.findings.leave("a rule raised on it")
            return ANYTHING
        state, account = decode(value), account_of(key)
        day = retention_day(state)
        if day <= self._retired_day:
            self.findings.leave("its day is retired")
            return Follows(None, day)
        if (counted := contribution(account, state)) is not None:
            self._folded.add(counted)
        if account in self._changed:
            self.findings.leave("the settings of its account changed, or are not known here")
            return Follows(None, day)
        return Follows(due_seconds(state, self._accounts, account), day)

    def confirms_day(self, row: Row, day: int) -> bool:
        """See TableProof."""
        return row.key in self._uncounted or retention_day(decode(row.value)) == day

    def shown(self, key: bytes) -> str:
        """See TableProof."""
        return mask_key(key)

    def compare_cells(self) -> None:
        """After all values: the noted cells are the fold of the states."""
        folded = {key: tuple(cell.counts) for key, cell in self._folded.by_key.items()}
        self.findings.cells = len(folded)
        for difference in _differences(folded, self._noted):
            self.findings.fault("wrong cell", difference)

    def unpublished(self, published: PublishedCells) -> Iterator[str]:
        """After all values: where the published cells are not the fold of the states, in words."""
        retired = max(self._retired_day, published.retired[1])
        folded = {
            key: tuple(cell.counts)
            for key, cell in self._folded.by_key.items()
            if cell.day > retired
        }
        known = {
            key: row.counts
            for key, row in published.rows.items()
            if row.kind in KINDS and row.window_start // DAY_MS > retired
        }
        return _differences(folded, known)


def due_seconds(state: MessageState, accounts: Accounts, account: str) -> frozenset[int]:
    """The seconds of the timer that may follow from a state; 0: none.

    Two, where codes of the account, or an earlier version, decide its outcome otherwise than it was
    stored: it is decided again when it is due.
    """
    settings = accounts.of(account)
    stored = wakes_at(state, settings)
    if not is_undecided(state):
        return frozenset({second_of(stored)})
    decide(state, settings)
    return frozenset({second_of(stored), second_of(wakes_at(state, settings))})


def _differences(
    folded: Mapping[bytes, tuple[int, ...]], known: Mapping[bytes, tuple[int, ...]]
) -> Iterator[str]:
    for key in sorted(folded.keys() | known.keys()):
        expected, found = folded.get(key, _NOTHING), known.get(key, _NOTHING)
        if expected != found:
            yield f"{key.decode()}: {_shown(found)}, not {_shown(expected)}"


def _shown(counts: tuple[int, ...]) -> str:
    named = zip(COUNT_NAMES, counts, strict=True)
    return ", ".join(f"{count} {name}" for name, count in named if count) or "nothing"
