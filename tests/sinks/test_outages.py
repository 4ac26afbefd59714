"""What the sink takes for an outage of Kafka, and what it logs of outages."""

import asyncio
import logging
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaStorageError,
    KafkaTimeoutError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
)

from models.settings import Settings
from sinks import consumer as sink_consumer
from sinks import retry
from sinks.consumer import SinkConsumer
from sinks.outage import OutageLog
from sinks.retry import retry_until_stopped
from streams.kafka.clients import may_pass
from streams.kafka.security import Access
from tests.support.fakes import Health, Meter

AWAY = [
    KafkaConnectionError, KafkaStorageError, KafkaTimeoutError, NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError, NotLeaderForPartitionError, TimeoutError,
]  # fmt: skip
REFUSED = [TopicAuthorizationFailedError, RecordTooLargeError, KafkaError, OSError]


@pytest.mark.parametrize("kind", AWAY)
async def test_what_passes_is_tried_again(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.0)
    answers, failures = [kind(), kind(), None], list[BaseException]()

    async def call() -> str:
        if error := answers.pop(0):
            raise error
        return "done"

    done = await retry_until_stopped(call, may_pass, asyncio.Event(), failures.append)
    assert done == "done" and len(failures) == 2


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_kafka_refuses_is_not(kind: type[Exception]) -> None:
    async def call() -> None:
        raise kind()

    with pytest.raises(kind):
        await retry_until_stopped(call, may_pass, asyncio.Event(), lambda _: pytest.fail("again"))


def test_an_outage_is_a_line_a_minute_and_one_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    outage = OutageLog(logging.getLogger("t"), "away: %s", "back", lambda: now[0])
    outage.ended()
    for second in range(150):
        now[0] = second
        outage.lasts(f"reason {second}")
    outage.ended()
    outage.ended()
    now[0] = 170.0
    outage.lasts("short")  # within a minute of the last line: neither its begin nor its end
    outage.ended()
    assert [entry.getMessage() for entry in caplog.records] == [
        "away: reason 0",
        "away: reason 60",
        "away: reason 120",
        "back after 149.0 s",
    ]


class Consumer:
    """What SinkConsumer uses of aiokafka's."""

    def __init__(self) -> None:
        self.stopped = False

    async def start(self) -> None:
        pass

    def subscribe(self, **_: Any) -> None:
        pass

    async def stop(self) -> None:
        self.stopped = True


async def test_a_failure_of_the_liveness_check_is_one_of_the_sink(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(sink_consumer.clients, "consumer", lambda *_, **__: Consumer())
    monkeypatch.setattr(sink_consumer.liveness, "watch", broken)
    health = Health()
    consumer = SinkConsumer(Settings(), Access("127.0.0.1:1"), Meter(), health)
    await consumer.start()
    await asyncio.sleep(0.01)
    assert "not foreseen" in health.reasons["kafka"]
    with pytest.raises(RuntimeError, match="not foreseen"):
        await consumer.collect(asyncio.Event())
    await consumer.stop()
    assert consumer.consumer.stopped
