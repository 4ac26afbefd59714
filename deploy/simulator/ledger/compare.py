"""Compares the tables with those that the oracle expects, row by row and cell by cell.

Finds lost, doubled and unexpected rows, wrong statuses and wrong cells. Counts each difference
under one heading and keeps the first few of each as samples.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple, TypeVar

from deploy.simulator.event import CALLBACKS
from deploy.simulator.ledger import bounce_tables
from deploy.simulator.ledger import queries as tables
from deploy.simulator.ledger.findings import Findings
from deploy.simulator.ledger.queries import Client
from deploy.simulator.oracle.callbacks import Unmatched
from deploy.simulator.oracle.expect import DeadLetter, Engagement, Expected, expect
from deploy.simulator.oracle.messages import Cell, Message, Orphan
from deploy.simulator.publish.recording import read_truth

TEXTS = "SELECT uniqExact(account, message_id, attempt) FROM message_texts_current"
RECEIPTS = "SELECT count() FROM receipt_events FINAL"

# A difference in these fields is a wrong status; in any other one, a wrong field.
STATUS_FIELDS = ("status", "platform_status", "carrier_status", "bounce", "finalized_at")


@dataclass(frozen=True, slots=True)
class Ledger:
    """The result. Counts of rows are those found in the tables.

    lost: expected rows that are missing (messages, orphans, dead letters). doubled: rows beyond
    the first of one message, orphan or dead letter, and messages that are orphans too.
    unexpected: rows that no event explains. wrong_status / wrong_fields: messages and orphans.
    strikes, retries: rows of strikes and retry requests. unmatched: receipts of callbacks whose
    message is not known. suppressed_sms, suppressed_whatsapp:
    recipients that are suppressed on the channel. receipts: rows of receipt_events.
    wrong_cells: cells that differ from the oracle. cells_unlike_messages: cells that differ from
    a GROUP BY over messages_current. wrong_dead_letters: reason or bytes differ. wrong_others:
    engagements, campaigns, texts, account settings or suppression requests. wrong_strikes:
    messages. wrong_suppressions: recipients. wrong_retries: requests that are missing, doubled or
    not allowed. unaccounted: events that are in no row.
    """

    events: int
    messages: int
    orphans: int
    dead_letters: int
    receipts: int
    strikes: int
    suppressed_sms: int
    suppressed_whatsapp: int
    retries: int
    unmatched: int
    lost: int
    doubled: int
    unexpected: int
    wrong_status: int
    wrong_fields: int
    wrong_cells: int
    cells_unlike_messages: int
    wrong_dead_letters: int
    wrong_others: int
    wrong_strikes: int
    wrong_suppressions: int
    wrong_retries: int
    unaccounted: int
    samples: tuple[str, ...] = ()

    @property
    def balances(self) -> bool:
        """True when nothing differs."""
        return not any(getattr(self, name) for name in _FAULTS)

    def as_dict(self) -> dict[str, object]:
        """For JSON: every field, and `balances`."""
        return {**asdict(self), "samples": list(self.samples), "balances": self.balances}

    def __str__(self) -> str:
        counts = ", ".join(f"{f.name} {getattr(self, f.name)}" for f in fields(self)[:-1])
        verdict = "balances" if self.balances else "DOES NOT BALANCE"
        return "\n  ".join([f"{verdict}: {counts}", *self.samples])


_FAULTS = tuple(f.name for f in fields(Ledger) if f.name not in (
    "events", "messages", "orphans", "dead_letters", "receipts", "strikes", "suppressed_sms",
    "suppressed_whatsapp", "retries", "unmatched", "samples"))  # fmt: skip


class Counts(NamedTuple):
    """Row counts, as progress of the tables. suppressed: recipients by channel."""

    messages: int
    orphans: int
    dead_letters: int
    strikes: int
    suppressed: int


def expectation(truth_paths: Iterable[Path], as_of_ms: int) -> Expected:
    """The expected tables for these truth files at `as_of_ms` (epoch ms, usually now)."""
    return expect(read_truth(*truth_paths), as_of_ms)


def compare(client: Client, expected: Expected) -> Ledger:
    """The ledger at this moment. Raises errors of the client."""
    findings = Findings()
    rows = tables.message_rows(client)
    seen = _compare_rows(findings, "message", rows, expected.messages, expected.undetermined)
    orphans = _compare_rows(findings, "orphan", tables.orphan_rows(client), expected.orphans, {})
    for key in seen.keys() & orphans.keys():
        findings.add("doubled", f"{_name(key)} is a message and an orphan")
    dead = _compare_dead_letters(findings, client, expected)
    _compare_base_tables(findings, client)
    found = tables.cells(client)
    _compare_cells(findings, "wrong_cells", found, expected.cells)
    counted = tables.cells_of_messages(client)
    _compare_cells(findings, "cells_unlike_messages", found, counted)
    _compare_others(findings, client, expected)
    unmatched = _compare_unmatched(findings, client, expected)
    bounces = bounce_tables.compare(findings, client, expected)
    faults = {name: findings.counts[name] for name in _FAULTS if name != "unaccounted"}
    return Ledger(
        events=expected.events,
        messages=seen.total(),
        orphans=orphans.total(),
        dead_letters=dead,
        receipts=tables.scalar(client, RECEIPTS),
        strikes=bounces.strikes,
        suppressed_sms=bounces.suppressed["sms"],
        suppressed_whatsapp=bounces.suppressed["whatsapp"],
        retries=bounces.retries,
        unmatched=unmatched,
        unaccounted=expected.events - accounted(expected),
        samples=tuple(findings.samples),
        **faults,
    )


def accounted(expected: Expected) -> int:
    """Number of events in messages, orphans, dead letters, campaigns, accounts, requests, ids of
    providers and unmatched receipts, and of those that change nothing."""
    rows = expected.in_messages + expected.in_orphans + letters_of(expected)
    others = expected.in_campaigns + expected.in_accounts + expected.in_requests
    callbacks = expected.in_links + expected.in_unmatched
    return rows + others + callbacks + expected.in_nothing


def letters_of(expected: Expected) -> int:
    """Number of dead letters."""
    return len(expected.dead_letters) + expected.refused_callbacks.total()


def progress_counts(client: Client) -> Counts:
    """Row counts of the views."""
    return Counts(*(
        tables.scalar(client, f"SELECT count() FROM {view}")
        for view in ("messages_current", "orphans_current", "dead_letters",
                     "strikes_current WHERE struck", "suppressions WHERE suppressed")
    ))  # fmt: skip


def wait_until_balanced(
    client: Client,
    expected: Expected,
    timeout_s: float,
    progress: Callable[[Counts], None] | None = None,
    poll_s: float = 0.5,
) -> Ledger:
    """Polls until the ledger balances or the time is up; returns the last ledger.

    Compares only row and status counts until they are as expected, then everything.
    """
    deadline = time.monotonic() + timeout_s
    wanted = Counts(
        len(expected.messages), len(expected.orphans), letters_of(expected),
        len(expected.strikes), sum(status.suppressed for status in expected.channels.values()),
    )  # fmt: skip
    ignore_suppressed = bool(expected.undetermined_channels)
    statuses = Counter((m.status, m.bounce) for m in expected.messages.values())
    while True:
        late = time.monotonic() >= deadline
        counts = progress_counts(client)
        if progress:
            progress(counts)
        complete = counts[:4] == wanted[:4] if ignore_suppressed else counts == wanted
        if late or (complete and _statuses(client) == statuses):
            ledger = compare(client, expected)
            if ledger.balances or late:
                return ledger
        time.sleep(poll_s)


def _statuses(client: Client) -> Counter[tuple[str, str]]:
    query = "SELECT status, bounce, count() FROM messages_current GROUP BY status, bounce"
    return Counter({(status, bounce): n for status, bounce, n in tables.rows(client, query)})


Row = TypeVar("Row", Message, Orphan)
Key = TypeVar("Key", bound=Hashable)


def _compare_rows(
    findings: Findings,
    what: str,
    found: Iterable[tuple[tuple[str, str], Row]],
    expected: Mapping[tuple[str, str], Row],
    undetermined: Mapping[tuple[str, str], set[str]],
) -> Counter[tuple[str, str]]:
    """Finds lost, doubled, unexpected and wrong rows. Result: number of rows by key."""
    seen: Counter[tuple[str, str]] = Counter()
    for key, row in found:
        seen[key] += 1
        wanted = expected.get(key)
        if seen[key] > 1:
            findings.add("doubled", f"{what} {_name(key)}")
        elif wanted is None:
            findings.add("unexpected", f"{what} {_name(key)}")
        elif row != wanted:
            _differs(findings, (what, key), row, wanted, undetermined.get(key, set()))
    for key in expected.keys() - seen.keys():
        findings.add("lost", f"{what} {_name(key)}")
    return seen


def _differs(
    findings: Findings,
    which: tuple[str, tuple[str, str]],
    row: Row,
    wanted: Row,
    undetermined: set[str],
) -> None:
    different = [
        f"{name} is {value!r}, not {right!r}"
        for name, value, right in zip(row._fields, row, wanted, strict=True)
        if value != right and name not in undetermined
    ]
    if not different:
        return
    wrong_status = any(text.split(" ", 1)[0] in STATUS_FIELDS for text in different)
    heading = "wrong_status" if wrong_status else "wrong_fields"
    findings.add(heading, f"{which[0]} {_name(which[1])}: {'; '.join(different)}")


def _name(key: tuple[str, str]) -> str:
    return "/".join(key)


def _compare_dead_letters(findings: Findings, client: Client, expected: Expected) -> int:
    """The number of dead letters that were found."""
    seen: Counter[tuple[str, int, int]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    for topic, partition, offset, *rest in tables.rows(client, tables.DEAD_LETTERS):
        if topic.endswith(CALLBACKS):  # the listener does not say where it has put a callback
            refused[rest[0], rest[-1]] += 1
            continue
        origin, letter = (topic, partition, offset), DeadLetter(*rest)
        seen[origin] += 1
        wanted = expected.dead_letters.get(origin)
        if seen[origin] > 1:
            findings.add("doubled", f"dead letter {origin}")
        elif wanted is None:
            findings.add("unexpected", f"dead letter {origin}: {letter.reason}")
        elif letter != wanted:
            why = f"{letter.reason}, not {wanted.reason}"
            why = why if letter.reason != wanted.reason else "other bytes than published"
            findings.add("wrong_dead_letters", f"{origin}: {why}")
    for origin in expected.dead_letters.keys() - seen.keys():
        wanted = expected.dead_letters[origin]
        findings.add("lost", f"dead letter {origin}: {wanted.reason}")
    for heading, letters in (
        ("unexpected", refused - expected.refused_callbacks),
        ("lost", expected.refused_callbacks - refused),
    ):
        for reason, value in letters.elements():
            findings.add(heading, f"dead letter of a callback {value}: {reason}")
    return sum(seen.values()) + refused.total()


def _compare_base_tables(findings: Findings, client: Client) -> None:
    """One row for each key under FINAL, independent of the views."""
    for table in ("messages", "orphans"):
        doubles = tables.scalar(
            client, f"SELECT count() - uniqExact(account, message_id) FROM {table} FINAL"
        )
        if doubles and not findings.counts["doubled"]:
            findings.add("doubled", f"{doubles} rows of table {table} under FINAL")


def _compare_cells(
    findings: Findings,
    heading: str,
    found: Mapping[tuple[object, ...], Cell],
    wanted: Mapping[tuple[object, ...], Cell],
) -> None:
    for key in found.keys() | wanted.keys():
        actual, right = found.get(key, Cell()), wanted.get(key, Cell())
        if actual != right:
            different = ", ".join(
                f"{name} {a} not {b}"
                for name, a, b in zip(Cell._fields, actual, right, strict=True)
                if a != b
            )
            findings.add(heading, f"{key}: {different}")


def _compare_others(findings: Findings, client: Client, expected: Expected) -> None:
    """Engagements; number of texts and receipts; the newest record of each campaign."""
    texts, receipts = tables.scalar(client, TEXTS), tables.scalar(client, RECEIPTS)
    if texts != expected.texts:
        findings.add("wrong_others", f"{texts} texts, not {expected.texts}")
    called = len(expected.callback_receipts)
    if receipts - expected.receipts < called or (not called and receipts != expected.receipts):
        findings.add("wrong_others", f"{receipts} receipts, not {expected.receipts + called}")
    names = tables.columns("account", "event_id", *Engagement._fields)
    rows = tables.rows(client, f"SELECT {names} FROM engagements_current")
    engagements = {(row[0], row[1]): Engagement(*row[2:]) for row in rows}
    _compare_by_key(findings, "engagement", engagements, expected.engagements)
    names = tables.columns("account", "campaign_id", "updated_at", "name", "status")
    rows = tables.rows(client, f"SELECT {names} FROM campaigns_current")
    campaigns = {(row[0], row[1]): row[2:] for row in rows}
    _compare_by_key(findings, "campaign", campaigns, expected.campaigns)


def _compare_unmatched(findings: Findings, client: Client, expected: Expected) -> int:
    """Receipts without their message; returns their number."""
    if not (expected.unmatched or expected.callback_receipts):
        return 0
    found = {Unmatched(*row) for row in tables.rows(client, tables.UNMATCHED)}
    for row in found - expected.unmatched:
        findings.add("unexpected", f"unmatched receipt {row}")
    for row in expected.unmatched - found:
        findings.add("lost", f"unmatched receipt {row}")
    return len(found)


def _compare_by_key(
    findings: Findings,
    what: str,
    found: Mapping[tuple[str, str], object],
    wanted: Mapping[tuple[str, str], object],
) -> None:
    for key in found.keys() | wanted.keys():
        actual, right = found.get(key), wanted.get(key)
        if actual != right:
            findings.add("wrong_others", f"{what} {_name(key)}: {actual}, not {right}")
