"""The pure parts of the driver, and its relay."""

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any

import pytest

from deploy.simulator.ledger.compare import Ledger
from models.settings import Settings
from tests.chaos import hostile, report
from tests.chaos.catalogue import FAULTS, Unknown, chosen, plan
from tests.chaos.driver import Outcome
from tests.chaos.processes import Exit
from tests.chaos.proxy import Proxy
from tests.chaos.watch import SINK, WORKER, Commit, Gaps, parse_commit

SETTINGS = Settings(topic_prefix="c1.")


def gaps(*moments: float) -> Gaps:
    found = Gaps()
    for at in moments:
        found.note(WORKER, 0, at)
    return found


@pytest.mark.parametrize(
    ("moments", "longest"),
    [
        ((), 10.0),
        ((1, 2, 3, 11, 19), 8.0),  # only what lies within counts
        ((10, 11, 12), 8.0),  # to the end
        ((18, 19), 8.0),  # from the begin
        ((10, 14, 20), 6.0),
    ],
)
def test_the_longest_gap_counts_from_begin_to_end(
    moments: tuple[float, ...], longest: float
) -> None:
    assert gaps(*moments).longest(WORKER, [0], 10, 20) == longest


def test_the_worst_partition_counts_and_kinds_stay_apart() -> None:
    found = gaps(*range(10, 21))
    assert found.longest(WORKER, [0], 10, 20) == 1
    assert found.longest(WORKER, [0, 1], 10, 20) == 10
    assert found.longest(SINK, [0], 10, 20) == 10
    assert found.silent_since(WORKER, [0, 1], 19.5) == [1]
    assert found.silent_since(WORKER, [0, 1], 20) == [0, 1]


def offset_key(version: int, group: str, topic: str, partition: int) -> bytes:
    texts = b"".join(struct.pack(">h", len(t)) + t.encode() for t in (group, topic))
    return struct.pack(">h", version) + texts + struct.pack(">i", partition)


def test_commits_are_read_from_the_topic_of_offsets() -> None:
    value = struct.pack(">hq", 4, 77) + b"\xff\xff\xff\xff\x01\x00"
    key = offset_key(1, "chaos-1-sink", "c1.message-states", 3)
    assert parse_commit(key, value) == Commit("chaos-1-sink", "c1.message-states", 3, 77)
    assert parse_commit(key, None) is None
    assert parse_commit(offset_key(2, "group", "", 0), value) is None  # members of a group


def test_a_run_has_the_faults_that_suit_it() -> None:
    names = [one.name for one in chosen((), (), 1, False)]
    assert "kill-broker" in names and "kill-brokers" not in names
    assert "kill-brokers" in [one.name for one in chosen((), (), 3, False)]
    assert [one.name for one in chosen(("kill-sink",), (), 1, False)] == ["kill-sink"]
    assert "kill-sink" not in [one.name for one in chosen((), ("kill-sink",), 1, False)]
    short = {one.name for one in chosen((), (), 1, True)}
    assert short >= {"kill-worker", "kill-sink", "kill-broker", "codecs", "transactions"}


@pytest.mark.parametrize("names", [(("no-such",), ()), ((), ("no-such",)), (("kill-brokers",), ())])
def test_a_choice_that_cannot_be_is_refused(names: Any) -> None:
    only, skip = names
    with pytest.raises(Unknown):
        chosen(only, skip, 1, False)


def test_the_seed_decides_the_order_and_nothing_is_left_out() -> None:
    faults = list(FAULTS.values())
    assert plan(faults, 1, False) == plan(faults, 1, False) != plan(faults, 2, False)
    assert {one.name for (one,) in plan(faults, 1, False)} == FAULTS.keys()
    assert len(plan(faults, 1, True)) == 1


def test_garbage_is_on_every_topic_and_the_same_for_a_seed() -> None:
    records = list(hostile.garbage(SETTINGS, Random(1)))
    assert {r.topic for r in records} == {f"c1.{name}" for name in SETTINGS.topics}
    again = hostile.garbage(SETTINGS, Random(1))
    assert [r[4:6] for r in records] == [r[4:6] for r in again]
    must = {(r.kind, r.value is None) for r in records if hostile.must_be_dead_letter(r)}
    assert ("sends", True) in must and ("accounts", False) in must
    assert ("accounts", True) not in must and ("message-states", False) not in must


@pytest.mark.parametrize("topic", ["sends", "receipts", "engagements"])
def test_markers_lie_in_the_partition_they_are_for(topic: str) -> None:
    markers = [hostile.marker(SETTINGS, topic, partition) for partition in range(4)]
    assert [marker.partition for marker in markers] == [0, 1, 2, 3]


NOTHING: dict[str, Any] = {f.name: 0 for f in fields(Ledger) if f.name != "samples"}
BALANCED = Ledger(**NOTHING)


def outcome(name: str, **fields: Any) -> Outcome:
    return Outcome(FAULTS[name], 1, ledger=BALANCED, finished=True, **fields)


def ended(kind: str) -> Exit:
    return Exit(f"{kind}-1", kind, 70, "why", 0.0)


def test_an_exit_fails_a_fault_that_may_not_end_a_process() -> None:
    assert outcome("kill-worker").passed
    assert not outcome("kill-worker", exits=[ended("worker")]).passed
    assert outcome("freeze-worker", exits=[ended("worker")]).passed
    assert not outcome("freeze-worker", exits=[ended("sink")]).passed
    assert not outcome("kill-worker", problems=["late"]).passed


def test_the_table_adds_up_tries_and_names_every_reason() -> None:
    tries = [
        outcome("kill-worker", worker_gap_s=7.25, sink_gap_s=1.0),
        outcome("kill-worker", worker_gap_s=3.0, sink_gap_s=9.0, exits=[ended("sink")]),
    ]
    (row,) = report.rows(tries)
    assert row == ("kill-worker", "2", "1 (1 wrong)", "0", "0", "0", "7.2", "9.0", "FAILED 1 of 2")
    assert "| kill-worker | 2 |" in report.markdown(tries)
    assert "why" in "\n".join(report.failures(tries))
    assert [found["passed"] for found in report.as_json(tries)] == [True, False]


def test_what_was_not_judged_has_not_passed() -> None:
    unjudged = Outcome(FAULTS["kill-worker"], 1, finished=True)
    (row,) = report.rows([unjudged])
    assert row[3:6] == ("–", "–", "–") and row[-1] == "FAILED 1 of 1"
    unjudged.finished = False
    (row,) = report.rows([unjudged])
    assert row[-1] == "not finished"


# --- the relay ------------------------------------------------------------------------------------


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    relay = Proxy(server.sockets[0].getsockname()[1])
    await relay.listen()
    yield relay
    await relay.close()
    server.close()


async def connect(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def test_the_relay_relays_and_refuses(proxy: Proxy) -> None:
    reader, writer = await connect(proxy)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
    writer.write(b"still there")
    assert await reader.readexactly(11) == b"still there"
    writer.close()


async def test_the_relay_resets(proxy: Proxy) -> None:
    reader, writer = await connect(proxy)
    writer.write(b"hello")
    await reader.readexactly(5)
    assert proxy.reset() == 1
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()


async def test_the_relay_stalls_and_answers_itself(proxy: Proxy) -> None:
    reader, writer = await connect(proxy)
    proxy.stall()
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(5), 0.3)
    await proxy.heal()
    assert await reader.readexactly(5) == b"hello"
    proxy.answer = b"sorry"
    writer.write(b"hello")
    assert await reader.read() == b"sorry"
    writer.close()


def test_the_page_lists_every_fault() -> None:
    page = (Path(__file__).parents[2] / "docs/reliability.md").read_text()
    for one in FAULTS.values():
        assert f"| {one.name} | {one.meaning} |" in page
