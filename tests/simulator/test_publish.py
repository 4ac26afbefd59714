"""Publishing to a real protocol: the truth file says what the broker holds, to the byte."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import DefaultPartitioner

from deploy.embedded.brokers import EmbeddedBroker, free_port
from deploy.simulator.event import KINDS, Published
from deploy.simulator.publish.publish import (
    SETTINGS_LEAD_S,
    PublishError,
    ReplayOptions,
    SimulateOptions,
    Summary,
    partition_of,
    replay,
    run,
    simulate,
)
from deploy.simulator.publish.recording import BadRecording, read_truth, write_lines
from streams.kafka.security import Access

PARTITIONS = 3
AS_OF = 1_795_300_000_000


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with EmbeddedBroker() as running:
        yield running.bootstrap


@pytest.fixture
async def topics(broker: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Topics of this test alone."""
    names: dict[str, str] = {
        kind: f"t{abs(hash(request.node.name)) % 10**8}-{kind}" for kind in KINDS
    }
    await create(broker, *names.values())
    return names


async def create(broker: str, *names: str, partitions: int = PARTITIONS) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    await admin.close()


async def consumed(broker: str, names: list[str], wanted: int) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(n, p) for n in names for p in range(PARTITIONS)])
    found: list[Any] = []
    try:
        while len(found) < wanted:
            for records in (await asyncio.wait_for(consumer.getmany(timeout_ms=500), 10)).values():
                found += records
    finally:
        await consumer.stop()
    return found


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_the_truth_file_is_what_the_broker_holds(
    broker: str, topics: dict[str, str], tmp_path: Path, compression: str | None
) -> None:
    seen: list[tuple[int, int]] = []
    path = tmp_path / "truth.jsonl"
    options = SimulateOptions(Access(broker), seed=5, events=9_000, as_of_ms=AS_OF, truth_path=path,
                              topics=topics, compression=compression)  # fmt: skip
    summary = await simulate(options, lambda done, wanted: seen.append((done, wanted)))
    truth = {(r.topic, r.partition, r.offset): r for r in read_truth(path)}
    found = await consumed(broker, list(topics.values()), 9_000)
    assert len(found) == len(truth) == summary.events == sum(summary.by_kind.values()) == 9_000
    assert not summary.interrupted
    assert seen[-1] == (9_000, 9_000)
    for record in found:
        wanted = truth[record.topic, record.partition, record.offset]
        assert (record.key, record.value, record.timestamp) == (
            wanted.key, wanted.value, wanted.timestamp)  # fmt: skip
        assert wanted.topic == topics[wanted.kind]


async def test_only_strays_lie_outside_the_partition_of_their_key(
    broker: str, topics: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "truth.jsonl"
    options = SimulateOptions(Access(broker), seed=6, events=6_000, as_of_ms=AS_OF, truth_path=path,
                              topics=topics)  # fmt: skip
    await simulate(options)
    arrivals: dict[tuple[str, int], int] = {}
    astray = 0
    for record in read_truth(path):
        where = (record.topic, record.partition)
        assert record.timestamp >= arrivals.get(where, 0)
        arrivals[where] = record.timestamp
        if record.key is None or partition_of(record.key, PARTITIONS) != record.partition:
            astray += 1
            assert record.note in ("misrouted:no_key", "misrouted:wrong_partition")
    assert astray > 0
    often = {topics[kind] for kind in ("sends", "receipts", "engagements", "campaigns")}
    assert len([topic for topic, _ in arrivals if topic in often]) == 4 * PARTITIONS
    assert {topic for topic, _ in arrivals} == set(topics.values())


@pytest.mark.parametrize("key", [b"", b"a", b"acme/m-1", b"\xff\x00", b"x" * 301])
def test_partitions_are_those_of_kafkas_own_clients(key: bytes) -> None:
    everywhere = list(range(7))
    assert partition_of(key, 7) == DefaultPartitioner()(key, everywhere, everywhere)


async def test_a_rate_is_kept_and_stopping_is_clean(
    broker: str, topics: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "truth.jsonl"
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(1.0 + SETTINGS_LEAD_S, stop.set)
    options = SimulateOptions(
        Access(broker), events=50_000, rate=2_000, truth_path=path, topics=topics
    )
    summary = await simulate(options, stop=stop)
    assert summary.interrupted
    assert 1_000 <= summary.events <= 2_400
    assert len(list(read_truth(path))) == summary.events


def test_a_signal_ends_a_run_early_with_a_summary(broker: str, tmp_path: Path) -> None:
    names: dict[str, str] = {kind: f"signal-{kind}" for kind in KINDS}
    asyncio.run(create(broker, *names.values()))
    options = SimulateOptions(Access(broker), events=90_000, rate=1_000, topics=names,
                              truth_path=tmp_path / "t.jsonl")  # fmt: skip

    def interrupt(done: int, wanted: int) -> None:
        if done > 200:
            os.kill(os.getpid(), signal.SIGINT)

    summary: Summary = run(lambda stop: simulate(options, interrupt, stop))
    assert summary.interrupted
    assert 200 < summary.events < 90_000
    assert len(list(read_truth(tmp_path / "t.jsonl"))) == summary.events


async def test_a_truth_file_is_replayed_record_by_record(
    broker: str, topics: dict[str, str], tmp_path: Path
) -> None:
    path, again = tmp_path / "truth.jsonl", tmp_path / "again.jsonl"
    options = SimulateOptions(Access(broker), events=3_000, truth_path=path, topics=topics)
    await simulate(options)
    summary = await replay(ReplayOptions(Access(broker), path, truth_path=again))
    assert summary.events == 3_000

    def seen(where: Path) -> list[tuple[object, ...]]:
        return sorted((r.topic, r.partition, r.offset, r.timestamp, r.key or b"", r.value or b"",
                       r.note, r.expect) for r in read_truth(where))  # fmt: skip

    first, second = seen(path), seen(again)
    shift = {(r.topic, r.partition): 0 for r in read_truth(path)}
    for record in read_truth(path):
        shift[record.topic, record.partition] += 1
    moved = sorted((t, p, o + shift[t, p], *rest) for t, p, o, *rest in first)  # type: ignore[index,operator]
    assert moved == second


async def test_replay_keeps_headers_and_places_records_without_partition_by_their_key(
    broker: str, topics: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "hand.jsonl"
    path.write_text(
        f'{{"topic": "{topics["sends"]}", "key": "a/m", "value": "1", "headers": {{"h": "x"}}}}\n'
    )
    await replay(ReplayOptions(Access(broker), path))
    (record,) = await consumed(broker, [topics["sends"]], 1)
    assert record.partition == partition_of(b"a/m", PARTITIONS)
    assert record.headers == (("h", b"x"),)
    assert record.value == b"1"


@pytest.mark.parametrize(("speed", "least", "most"), [(1.0, 0.9, 3.0), (4.0, 0.2, 0.8)])
async def test_replay_at_its_own_pace(
    broker: str, topics: dict[str, str], tmp_path: Path, speed: float, least: float, most: float
) -> None:
    path = tmp_path / "paced.jsonl"
    write_lines(path, [
        Published(topics["sends"], 0, n, AS_OF + n * 200, b"k", b"v", "sends") for n in range(6)
    ])  # fmt: skip
    seen: list[int] = []
    summary = await replay(
        ReplayOptions(Access(broker), path, speed=speed), lambda done, _: seen.append(done)
    )
    assert summary.events == 6
    assert least <= summary.seconds <= most
    assert len(seen) >= 6 if speed == 1.0 else len(seen) > 1


async def test_replay_now_gives_records_the_present_as_their_time(
    broker: str, topics: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "old.jsonl"
    write_lines(path, [Published(topics["sends"], 0, 0, 1000, b"k", b"v", "sends")])
    await replay(ReplayOptions(Access(broker), path, now=True))
    (record,) = await consumed(broker, [topics["sends"]], 1)
    assert record.timestamp > AS_OF - 10**11


async def test_mistakes_are_named(broker: str, topics: dict[str, str], tmp_path: Path) -> None:
    missing = {**topics, "receipts": "no-such-topic"}
    with pytest.raises(PublishError, match=r"no-such-topic.*receipts topics"):
        await simulate(SimulateOptions(Access(broker), events=1, topics=missing))
    with pytest.raises(PublishError, match="does not answer"):
        await simulate(SimulateOptions(Access(f"127.0.0.1:{free_port()}"), events=1, topics=topics))
    with pytest.raises(ValueError, match="rate: 0 is not above 0"):
        await simulate(SimulateOptions(Access(broker), events=1, rate=0, topics=topics))
    path = tmp_path / "far.jsonl"
    path.write_text(f'{{"topic": "{topics["sends"]}", "value": "1", "partition": 99}}\n')
    with pytest.raises(PublishError, match=r"partition 99 of topic .* does not exist: it has 3"):
        await replay(ReplayOptions(Access(broker), path))
    with pytest.raises(ValueError, match="speed: -1 is not above 0"):
        await replay(ReplayOptions(Access(broker), path, speed=-1))
    path.write_text("{}\n")
    with pytest.raises(BadRecording, match=r"far.jsonl:1: topic"):
        await replay(ReplayOptions(Access(broker), path))
