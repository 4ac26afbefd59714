"""The sink between a broker and ClickHouse: write, then commit; wait out what goes away."""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, NotLeaderForPartitionError

from deploy.embedded.brokers import Broker, free_port
from models.counters import cell_key, encode_cell
from models.suppression import ChannelStatus, of_any
from sinks.client import ClickHouse, connect
from sinks.errors import Broken
from sinks.rows import TOPICS
from tests.support.account_records import account, request, retry, strike, suppression
from tests.support.fakes import T0, counts_of, send, state, state_record
from tests.support.front import Front
from tests.support.records import Record
from tests.support.running_sink import (
    Running,
    committed,
    consumed,
    count,
    one_way,
    publish,
    running,
    settings_for,
    states,
)
from tests.support.unmatched_records import unmatched_record

NOW = int(time.time() * 1000)


def receipt_value(status: str) -> bytes:
    """A receipt that is young enough to stay."""
    given = {"account": "acme", "message_id": "m1", "status": status, "occurred_at": NOW}
    return json.dumps(given).encode()


def one_of_each() -> list[Record]:
    """A good record for every topic; the text is young enough to stay."""
    cell = cell_key("day", T0, ("acme", "sms", "direct", "DE", "p", ""), 0)
    sent = send(text="hi", sent_at=NOW).model_dump_json(exclude={"credits"}).encode()
    click = {"account": "acme", "event_id": "e", "type": "click", "message_id": "m1"}
    campaign = {"account": "acme", "campaign_id": "c", "name": "Sale", "updated_at": T0}
    headers = [("topic", "receipts"), ("partition", "1"), ("offset", "5"), ("time", str(T0))]
    headers += [("reason", "empty"), ("detail", "value: empty")]
    return [
        state_record(state(1, send())),
        Record("message-states", 1, 0, T0, b"acme/gone", None),
        Record("status-counters", 0, 0, T0, cell, encode_cell(1, counts_of(submitted=1))),
        Record("sends", 0, 0, NOW, b"acme/m1", sent),
        Record("receipts", 1, 0, NOW, b"acme/m1", receipt_value("queued")),
        Record("engagements", 1, 0, T0, b"k", json.dumps(click | {"occurred_at": T0}).encode()),
        Record("campaigns", 0, 0, T0, b"acme/c", json.dumps(campaign).encode()),
        account(),
        request("suppress"),
        strike(),
        strike("delivered"),
        suppression(1, of_any([ChannelStatus("sms", True, ("manual",), T0, 0, 0, T0)])),
        retry(),
        unmatched_record(received_at=NOW),
        Record("dead-letters", 1, 0, T0, b"\xff", None, tuple((k, v.encode()) for k, v in headers)),
    ]


VIEWS = (
    "messages_current",
    "counters_day",
    "message_texts_current",
    "receipt_events_current",
    "engagements_current",
    "campaigns_current",
    "accounts_current",
    "suppression_requests_current",
    "strikes_current",
    "suppressions",
    "suppression_history",
    "retry_requests_current",
    "unmatched_receipts",
    "dead_letters",
)


@pytest.mark.parametrize(
    ("broker", "way"),
    [
        pytest.param("embedded", "embedded", id="as the demo"),
        pytest.param("kafka", "http", id="as in production", marks=pytest.mark.kafka),
    ],
    indirect=True,
)
async def test_every_topic_reaches_its_table_and_is_committed(
    broker: Broker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(broker, prefix, url)
    await publish(settings, one_of_each())
    async with running(settings) as sink:
        await sink.until(lambda: all(count(reader, view) == 1 for view in VIEWS))
        lag = "receipts_lag_records", ("message-states", "0")
        await sink.until(lambda: lag in sink.meter.sums and sink.meter.sums[lag] == 0)
    twice = ("message-states", "strikes")
    assert [await committed(settings, topic) for topic in TOPICS] == [
        2 if topic in twice else 1 for topic in TOPICS
    ]
    skipped = ("receipts_sink_skipped_total", "message-states", "tombstone")
    assert sink.meter.value(*skipped) == 1
    assert sink.meter.value("receipts_events_total", "campaigns", "campaign") == 1
    assert sink.meter.value("receipts_events_total", "accounts", "account") == 1
    assert sink.meter.value("receipts_sink_delay_seconds", "sends") == 1

    async with running(settings) as again:  # nothing is left to do
        await publish(settings, states(1, first=5))
        await again.until(lambda: count(reader, "messages_current") == 2)
    assert sum(again.rows(table) for table in ("message_texts", "campaigns", "engagements")) == 0
    assert again.rows("messages") == 1


@one_way
async def test_a_sink_of_the_version_before_goes_on_with_the_oldest_receipts(
    embedded_broker: Broker,
    prefix: str,
    url: str,
    reader: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It had no position in their topic; in the others it goes on where it was."""
    settings = await settings_for(embedded_broker, prefix, url)
    before = tuple(topic for topic in TOPICS if topic != "receipts")
    receipts = [
        Record("receipts", place, 0, NOW, b"acme/m1", receipt_value(status))
        for place, status in enumerate(("queued", "delivered"))
    ]
    await publish(settings, [*receipts, *states(3)])
    with monkeypatch.context() as older:
        older.setattr("sinks.consumer.TOPICS", before)
        async with running(settings) as sink:
            await sink.until(lambda: count(reader, "messages_current") == 3)
            await asyncio.sleep(1)
    assert count(reader, "receipt_events_current") == 0
    async with running(settings) as upgraded:
        await upgraded.until(lambda: count(reader, "receipt_events_current") == 2)
    assert upgraded.rows("messages") == 0


@one_way
async def test_without_endpoints_the_topics_of_callbacks_are_not_there(
    strongest_broker: Broker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(strongest_broker, prefix, url, endpoints="")
    await publish(settings, states(3))
    async with running(settings) as sink:
        await sink.until(lambda: count(reader, "messages_current") == 3)
        await sink.until(lambda: not sink.health.reasons)
    assert ("receipts_lag_records", ("unmatched-receipts", "0")) not in sink.meter.sums


@one_way
async def test_what_is_read_twice_is_there_once(
    embedded_broker: Broker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(embedded_broker, prefix, url)
    await publish(settings, [*states(50), *one_of_each()])
    for group in ("a", "b"):  # a group that never committed reads all again
        renamed = settings.model_copy(update={"app_id": prefix + group})
        async with running(renamed) as sink:
            await sink.until(lambda sink=sink: sink.rows("messages") == 51)  # type: ignore[misc]
    assert count(reader, "messages_current") == 50, "one message came twice"
    assert count(reader, "message_texts_current") == 1
    assert reader.rows("SELECT sum(messages) FROM counters_day") == [(1,)]


@one_way
async def test_poison_becomes_dead_letters_and_stops_nothing(
    strongest_broker: Broker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(strongest_broker, prefix, url)
    unreadable = Record("message-states", 1, 0, T0, b"acme/\xff", b"\xc1\x00")
    refused = state_record(state(-1, send("m99")), "m99")
    campaign = Record("campaigns", 0, 0, T0, None, b"{")
    limit = account(strike_limit=0)
    unmatched = unmatched_record(id="")
    not_ours = [r._replace(value=b"{") for r in (strike(), request("release"))]
    poison = [unreadable, refused, campaign, limit, unmatched]
    await publish(settings, [*states(10), *poison, *not_ours, *states(10, first=10)])
    async with running(settings) as sink:
        await sink.until(lambda: count(reader, "dead_letters") == 5)
    assert count(reader, "messages_current") == 20
    found = reader.rows(
        "SELECT topic, partition, reason, hex(key), hex(value), startsWith(detail, 'value: '), "
        "toUnixTimestamp64Milli(time) FROM dead_letters ORDER BY topic, partition"
    )
    assert found == [
        (f"{prefix}accounts", 0, "bad_value", *_hex(limit), 0, T0),
        (f"{prefix}campaigns", 0, "not_json", None, "7B", 1, T0),
        (f"{prefix}message-states", 0, "bad_row", *_hex(refused), 0, T0),
        (f"{prefix}message-states", 1, "bad_row", *_hex(unreadable), 1, T0),
        (f"{prefix}unmatched-receipts", 0, "bad_row", *_hex(unmatched), 1, T0),
    ]
    letters = await consumed(settings, "dead-letters", 4)
    assert {(letter.key, letter.value) for letter in letters} == {
        (record.key, record.value) for record in poison
    }
    assert sink.meter.value("receipts_dead_letters_total", "message-states", "bad_row") == 2
    for topic in ("strikes", "suppression-requests"):
        assert sink.meter.value("receipts_sink_skipped_total", topic, "refused") == 1
    assert await committed(settings, "message-states") == 22


@one_way
async def test_dead_letters_wait_while_kafka_does_not_take_them(
    embedded_broker: Broker,
    prefix: str,
    url: str,
    reader: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send, refusals = AIOKafkaProducer.send, [KafkaTimeoutError(), NotLeaderForPartitionError()]

    async def fails_twice(self: AIOKafkaProducer, topic: str, *args: Any, **named: Any) -> Any:
        if topic == f"{prefix}dead-letters" and refusals:
            raise refusals.pop()
        return await send(self, topic, *args, **named)

    settings = await settings_for(embedded_broker, prefix, url)
    async with running(settings) as sink:
        monkeypatch.setattr(AIOKafkaProducer, "send", fails_twice)
        await publish(settings, [Record("campaigns", 0, 0, T0, None, b"{")])
        await sink.until(lambda: count(reader, "dead_letters") == 1)
    assert not refusals


def _hex(record: Record) -> tuple[str, str]:
    assert record.key is not None
    assert record.value is not None
    return record.key.hex().upper(), record.value.hex().upper()


@pytest.mark.parametrize("crash", [False, True], ids=["stop", "kill -9"])
async def test_an_outage_longer_than_the_session_is_waited_out(
    embedded_broker: Broker, prefix: str, own_front: Front, crash: bool
) -> None:
    settings = await settings_for(embedded_broker, prefix, own_front.url("receipts"))
    async with running(settings) as sink:
        await publish(settings, states(20))
        await sink.until(lambda: sink.rows("messages") == 20)
        own_front.stop(crash=crash)
        await publish(settings, states(30, first=20))
        await sink.until(
            lambda: "does not accept rows" in sink.health.reasons.get("clickhouse", "")
        )
        beats = sink.health.beats
        await asyncio.sleep(settings.session_timeout_s + 1)
        assert sink.health.beats > beats, "alive, although not ready"
        assert await committed(settings, "message-states") == 20, "unwritten data stays in Kafka"
        own_front.start()
        await sink.until(lambda: sink.rows("messages") >= 50)
        await sink.until(lambda: sink.health.reasons == {})
        assert sink.meter.value("receipts_rebalances_total") == 1, "never left the group"
        reader = connect(own_front.url("receipts"))
        assert count(reader, "messages_current") == 50
        reader.close()
    assert await committed(settings, "message-states") == 50
    kinds = ("receipts_sink_insert_failures_total", "messages", "unavailable")
    assert sink.meter.value(*kinds) >= 2


async def test_it_ends_in_time_while_clickhouse_is_away(
    embedded_broker: Broker, prefix: str, own_front: Front
) -> None:
    settings = await settings_for(embedded_broker, prefix, own_front.url("receipts"))
    async with running(settings) as sink:
        own_front.stop()
        await publish(settings, states(5))
        await sink.until(lambda: "clickhouse" in sink.health.reasons)
        assert await sink.end() < 10
    assert await committed(settings, "message-states") == 0


async def test_it_ends_in_time_while_clickhouse_hangs(
    embedded_broker: Broker, prefix: str, own_front: Front
) -> None:
    settings = await settings_for(embedded_broker, prefix, own_front.url("receipts"))
    async with running(settings) as sink:
        own_front.stop()
        silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", own_front.port)
        await publish(settings, states(5))
        await asyncio.sleep(1)
        assert await sink.end() < 10
        silent.close()
    assert await committed(settings, "message-states") == 0


async def answer_404(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a load balancer without a backend says to everything."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


async def test_a_load_balancer_without_a_backend_is_waited_out(
    embedded_broker: Broker, prefix: str, own_front: Front
) -> None:
    settings = await settings_for(embedded_broker, prefix, own_front.url("receipts"))
    own_front.stop()
    async with await asyncio.start_server(answer_404, "127.0.0.1", own_front.port):
        sink = Running(settings)
        await sink.until(lambda: "HTTP status 404" in sink.health.reasons.get("clickhouse", ""))
    own_front.start()
    await sink.joined()
    own_front.stop()
    async with await asyncio.start_server(answer_404, "127.0.0.1", own_front.port):
        await publish(settings, states(5))
        await sink.until(lambda: "HTTP status 404" in sink.health.reasons.get("clickhouse", ""))
    own_front.start()
    await sink.until(lambda: sink.rows("messages") == 5)
    await sink.end()


@one_way
async def test_it_ends_in_time_at_work(
    strongest_broker: Broker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(strongest_broker, prefix, url, sink_max_rows=100)
    await publish(settings, states(3000))
    async with running(settings) as sink:
        await sink.until(lambda: sink.rows("messages") >= 300)
        assert await sink.end() < 10
    assert sink.rows("messages") == await committed(settings, "message-states")
    async with running(settings) as again:
        await again.until(lambda: count(reader, "messages_current") == 3000)
    assert sink.rows("messages") + again.rows("messages") == 3000


async def test_it_waits_for_clickhouse_and_for_kafka_to_appear(
    prefix: str, tmp_path: Path, embedded_broker: Broker
) -> None:
    own = Front(tmp_path / "own")
    nobody = f"127.0.0.1:{free_port()}"
    settings = (await settings_for(embedded_broker, prefix, own.url("receipts"))).model_copy(
        update={"brokers": nobody}
    )
    sink = Running(settings)
    await sink.until(lambda: "cannot be reached" in sink.health.reasons.get("clickhouse", ""))
    own.start()
    await sink.until(lambda: "cannot be reached" in sink.health.reasons.get("kafka", ""))
    assert "clickhouse" not in sink.health.reasons
    assert await sink.end() < 10
    own.stop()


@one_way
async def test_a_missing_schema_stops_a_sink_that_may_not_migrate(
    embedded_broker: Broker, prefix: str, url: str
) -> None:
    settings = await settings_for(embedded_broker, prefix, url, migrate_on_start=False)
    with pytest.raises(Broken, match="run `receipts migrate`"):
        await Running(settings).task


@one_way
async def test_a_table_that_disappears_stops_the_sink_and_commits_nothing(
    embedded_broker: Broker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(embedded_broker, prefix, url)
    sink = Running(settings)
    await sink.joined()
    reader.command("DROP TABLE messages")
    await publish(settings, states(5))
    with pytest.raises(Broken, match="messages"):
        await asyncio.wait_for(sink.task, 20)
    assert await committed(settings, "message-states") == 0
