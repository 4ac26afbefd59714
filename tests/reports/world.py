"""Simulated worlds in ClickHouse: the tables, and the expected truth in plain Python.

Events come out of order and some of them twice through the worker's own rules and the sink's own
rows into a database behind the real HTTP driver. The truth is the oracle's, which shares no code
with either.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import pytest

from deploy.simulator.event import ACCOUNTS, CAMPAIGNS, ENGAGEMENTS, REQUESTS, SENDS, Published
from deploy.simulator.oracle.expect import Expected, expect
from deploy.simulator.oracle.facts import parse
from deploy.simulator.oracle.mending import mended
from deploy.simulator.publish.publish import partition_of
from deploy.simulator.traffic.generate import generate
from models.counters import encode_cell
from models.settings import Topic
from reports.query.database import Database
from reports.views import statements
from sinks.client import connect
from sinks.migrate import migrate
from sinks.rows import map_records
from sinks.writer import Writer
from tests.simulator.harness import PARTITIONS, STRIKES, Worker, as_record, shuffled
from tests.support.fakes import Health, Meter
from tests.support.records import Record
from tests.support.unmatched_records import unmatched_record

EVENTS: Final = 12_000


class Setting(NamedTuple):
    """A world to make: its seed, its present (epoch ms), and the zones it is seen from.

    Traffic covers the 4.5 days before the present.
    """

    seed: int
    as_of_ms: int
    zones: tuple[str, ...]


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


LATER_MS: Final = _at("2100-01-01T00:00:00")


#: The second world lies across the end of summer time in Helsinki (2026-10-25), the third across
#: its beginning (2027-03-28). Among the zones are offsets of half and quarter hours.
WORLDS: Final = (
    Setting(11, _at("2026-11-20T10:26:40"), ("UTC", "Asia/Kolkata")),
    Setting(12, _at("2026-10-27T21:10:00"), ("Europe/Helsinki", "America/New_York")),
    Setting(13, _at("2027-03-30T05:30:00"), ("Europe/Helsinki", "Asia/Kathmandu")),
)
ZONES: Final = tuple(dict.fromkeys(zone for setting in WORLDS for zone in setting.zones))

every_world_and_zone: Final = pytest.mark.parametrize(
    ("world", "zone"),
    [
        pytest.param(place, zone, id=f"seed-{setting.seed}-{zone}")
        for place, setting in enumerate(WORLDS)
        for zone in setting.zones
    ],
    indirect=["world"],
)
"""Each world in two zones: all zones and all worlds meet, without the whole product."""


class World:
    """One simulated installation.

    database: to ask, behind the real HTTP driver. expected: what the tables must say, by the
    oracle: `messages` by (account, message_id) with times in epoch ms and 0 for none, `numbers`,
    `strikes`, ... events: the valid events as JSON objects by kind ("sends", "receipts",
    "engagements", "campaigns", "accounts", "suppression-requests"), duplicates included.
    """

    def __init__(
        self, setting: Setting, url: str, published: list[Published] | None = None
    ) -> None:
        """published: the events; None: those of a simulation."""
        self.setting = setting
        self.url = url
        self.now = datetime.fromtimestamp(setting.as_of_ms / 1000, UTC)
        records = published or _published(setting)
        self.expected: Expected = expect(records, setting.as_of_ms)
        self.events: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            if not record.expect:
                self.events.setdefault(record.kind, []).append(_event(record))
        _load(url, records, shuffled(records, setting.seed, setting.as_of_ms))
        self.database = Database(url)

    def turn(self, zone: str) -> int:
        """Place of a zone among those of the world; 0 for others. Tests share cases by it."""
        zones = self.setting.zones
        return zones.index(zone) if zone in zones else 0

    @property
    def accounts(self) -> list[str]:
        """Accounts that have messages."""
        return sorted({account for account, _ in self.expected.messages})


def _event(record: Published) -> dict[str, Any]:
    """A valid event without its flaws."""
    fields = parse(record.value or b"")
    mended(record.kind, fields)
    return fields


def _published(setting: Setting) -> list[Published]:
    records = []
    for offset, event in enumerate(generate(setting.seed, EVENTS, setting.as_of_ms)):
        home = 0 if event.key is None else partition_of(event.key, PARTITIONS)
        where = (home + event.shift) % PARTITIONS
        records.append(Published(event.kind, where, offset, *event[0:1], *event[3:5], event.kind,
                                 event.note, event.expect))  # fmt: skip
    return records


def _load(url: str, records: list[Published], worker: Worker) -> None:
    """Everything the sink would have written, some of it twice."""
    clickhouse = connect(url)
    migrate(clickhouse, 90)
    for statement in statements():
        clickhouse.command(statement)
    topics: dict[Topic, list[Any]] = {
        "message-states": _table(worker.states),
        "status-counters": _cells(worker),
        "suppressions": _table(worker.numbers),
        "strikes": [r for r in worker.forwarded if r.topic == STRIKES],
        "suppression-requests": [r for r in worker.forwarded if r.topic == REQUESTS],
    }
    kinds: tuple[tuple[Topic, str], ...] = (
        ("sends", SENDS), ("engagements", ENGAGEMENTS), ("campaigns", CAMPAIGNS),
        ("accounts", ACCOUNTS),
    )  # fmt: skip
    for topic, kind in kinds:
        topics[topic] = [as_record(r) for r in records if r.kind == kind]
    topics["unmatched-receipts"] = _unmatched({parse(r.value or b"")["account"] for r in records
                                              if r.kind == SENDS and not r.expect})  # fmt: skip
    writer = Writer(clickhouse, Meter(), Health())
    for topic, share in topics.items():
        for again in (share, share[::5]):
            mapped = map_records({topic: again}, 65_536)
            for rows in mapped.tables.values():
                assert not list(writer.write(rows))
    clickhouse.close()


def _unmatched(accounts: Iterable[str]) -> list[Record]:
    """Three receipts of unknown messages for each account; the time to live of none has ended."""
    return [
        unmatched_record(account=account, id=str(place), received_at=LATER_MS + place)
        for account in accounts
        for place in range(3)
    ]


def _cells(worker: Worker) -> list[Record]:
    """The counters as they were published in the end; all of them were touched once."""
    return [
        Record("", number, place, 0, cell.key, encode_cell(1, cell.counts))
        for number, shard in enumerate(worker.messages)
        for place, cell in enumerate(shard.cells.take_dirty())
    ]


def _table(partitions: Iterable[dict[bytes, bytes]]) -> list[Record]:
    return [
        Record("", number, place, 0, key, value)
        for number, held in enumerate(partitions)
        for place, (key, value) in enumerate(held.items())
    ]
