"""Proves that what a partition has on disk follows from its states (ADR 0015).

Cells are the fold of the states; each message and each recipient has the timer that follows from
it, each message has one day, each correlation has its timer; the counts are right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from models.accounts import Accounts
from models.counters import check_record as check_cell
from models.counters import read_cells, retired_key
from models.joining import join_encoded
from models.routes import Routes
from models.state import check_record as check_state
from streams.batching import Row, StateStore, StoppedPartition, StoppedTable
from streams.common.plan import Incoming
from streams.common.proof import Findings, TableProof, total
from streams.correlation.proof import CorrelationsProof
from streams.correlation.shard import CorrelationRules, CorrelationShard
from streams.followers.suppression_index import SuppressionIndex
from streams.kafka.reading import UnreadableRecord
from streams.lifecycle.proof import MessagesProof
from streams.lifecycle.shard import Rules, Shard
from streams.rules import fingerprint
from streams.suppression.proof import RecipientsProof
from streams.suppression.shard import RecipientShard

CHUNK: Final = 2_000
WRITTEN_AT_ONCE: Final = 10_000

UNREADABLE: Final = "a record of the changelog cannot be read"

OnProgress = Callable[[str, int, int], object]
"""Called with what is being read, how much of it was read, and the total; 0: not known."""

Item = TypeVar("Item")


def prove(
    partition: int, stopped: StoppedPartition, accounts: Accounts, on_progress: OnProgress
) -> Findings:
    """Compare a partition on disk with its states.

    accounts: their settings; timers of accounts that have others on disk are not proved
    """
    findings = Findings()
    if stopped.rules != fingerprint():
        findings.fault("other rules", "the next start of a worker derives all again")
        return findings
    messages, cells = stopped.tables["messages"], stopped.tables["counters"]
    shard = Shard(partition, messages.store, Rules(1), accounts, SuppressionIndex())
    proof = MessagesProof(shard, findings)
    _prove_table(proof, messages, "messages", on_progress)
    proof.compare_cells()
    published = dict(cells.store.items_of(b""))
    for _ in proof.unpublished(read_cells(published, partition)):
        findings.leave("a cell is not published yet")
    recipients = stopped.tables["suppressions"]
    judge = RecipientShard(partition, recipients.store, 1, accounts)
    of_recipients = RecipientsProof(judge, Findings())
    _prove_table(of_recipients, recipients, "suppressions", on_progress)
    found = [findings, of_recipients.findings]
    if "correlations" in stopped.tables:
        found.append(_of_correlations(partition, stopped.tables["correlations"], on_progress))
    return total(found)


def _of_correlations(partition: int, table: StoppedTable, on_progress: OnProgress) -> Findings:
    """Neither endpoints nor current settings matter: the store knows what its timers follow by."""
    judge = CorrelationShard(partition, table.store, CorrelationRules(1, 1, 1), Routes({}))
    proof = CorrelationsProof(judge, Findings())
    _prove_table(proof, table, "correlations", on_progress)
    return proof.findings


def _prove_table(
    proof: TableProof, table: StoppedTable, name: str, on_progress: OnProgress
) -> None:
    written, done = table.written, 0
    for rows in _chunks(written.values()):
        expected = [proof.expect(row) for row in rows]
        timers = written.have_timers([(row.second, row.key) for row in rows])
        days = written.have_days(
            [(each.day or 0, row.key) for row, each in zip(rows, expected, strict=True)]
        )
        for row, follows, timer, day in zip(rows, expected, timers, days, strict=True):
            proof.take(row, follows, has_timer_row=timer, has_day_row=day)
        done += len(rows)
        on_progress(name, done, len(table.store))
    timers_found = _count(written.timers(), f"{name}, timers", on_progress)
    days_found = _count(written.days(), f"{name}, days", on_progress)
    if not proof.count(len(table.store), timers_found, days_found):
        _prove_surplus(proof, table)


def _count(rows: Iterable[object], what: str, on_progress: OnProgress) -> int:
    count = 0
    for chunk in _chunks(rows):
        count += len(chunk)
        on_progress(what, count, 0)
    return count


def _prove_surplus(proof: TableProof, table: StoppedTable) -> None:
    """There are more rows than the values confirmed: find those without a value."""
    written = table.written
    for numbered, take in ((written.timers(), proof.take_timer), (written.days(), proof.take_day)):
        for pairs in _chunks(numbered):
            rows = written.values_of([key for _, key in pairs])
            for (number, key), row in zip(pairs, rows, strict=True):
                take(number, key, row)


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


class ChangelogProof:
    """Folds the changelogs of one partition as a restore does, and compares what was published.

    All records of the states are taken, then all of the cells, then `fold` is run to its end; then
    `prove`. store: empty; the states go into it
    """

    def __init__(self, partition: int, store: StateStore) -> None:
        self._partition = partition
        self._store = store
        self._cells: dict[bytes, bytes] = {}
        self._unreadable = 0
        shard = Shard(partition, store, Rules(1), Accounts(), SuppressionIndex())
        self._shard, self._findings = shard, Findings()

    @property
    def states(self) -> int:
        """The number of states so far."""
        return len(self._store)

    def take_states(self, records: Iterable[Incoming]) -> None:
        """Join records of `message-states`, in their order."""
        for key, value in self._usable(records, check_state):
            if value is None:
                self._store.discard(key)
                continue
            known = self._store.get(key)
            self._store[key] = value if known is None else join_encoded(known, value)
        if self._store.changes > WRITTEN_AT_ONCE:
            self._store.freeze()
            self._store.write(0)
            self._store.written()

    def take_cells(self, records: Iterable[Incoming]) -> None:
        """Take records of `status-counters`, in their order."""
        for key, value in self._usable(records, check_cell):
            if value is None:
                self._cells.pop(key, None)
            else:
                self._cells[key] = value

    def _usable(
        self, records: Iterable[Incoming], check: Callable[[bytes, bytes], None]
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Keys and values, without the records that a restore skips."""
        for record in records:
            key, value = record.key, record.value
            if isinstance(record, UnreadableRecord) or key is None:
                self._unreadable += 1
            elif value is None or self._accepts(check, key, value):
                yield key, value

    def _accepts(self, check: Callable[[bytes, bytes], None], key: bytes, value: bytes) -> bool:
        try:
            check(key, value)
        except Exception:  # noqa: BLE001  (whatever a decoder raises; it is counted)
            self._unreadable += 1
            return False
        return True

    def fold(self) -> Iterator[int]:
        """Fold the states; yields how many so far, so that others may run in between."""
        self._shard.know_retired(self._cells.get(retired_key(self._partition)))
        self._proof = MessagesProof(self._shard, self._findings)
        for items in _chunks(self._store.items_of(b"")):
            for key, value in items:
                self._proof.expect(Row(key, value, 0))
            self._findings.values += len(items)
            yield self._findings.values

    def prove(self) -> Findings:
        """The published cells are the fold of the states."""
        findings = self._findings
        if self._unreadable:
            findings.unproved[UNREADABLE] = self._unreadable
        published = read_cells(self._cells, self._partition)
        findings.cells = len(published.rows)
        for difference in self._proof.unpublished(published):
            findings.fault("wrong published cell", difference)
        return findings
