"""The two brokers start, answer, keep (or drop) their data, and die with their parent."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.embedded.brokers import Broker, BrokerError, EmbeddedBroker, KafkaBroker, answers
from tests.support.topics import create_topics


async def _write(bootstrap: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def _read(bootstrap: str, topic: str) -> bytes:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        value: bytes = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()


async def test_a_record_comes_back(broker: Broker, prefix: str) -> None:
    await create_topics(broker.bootstrap, prefix + "a", partitions=1)
    await _write(broker.bootstrap, prefix + "a", b"one")
    assert await _read(broker.bootstrap, prefix + "a") == b"one"


@pytest.mark.kafka
async def test_kafka_keeps_its_data_over_a_crash(kafka_broker: Broker, prefix: str) -> None:
    await create_topics(kafka_broker.bootstrap, prefix + "a", partitions=1)
    await _write(kafka_broker.bootstrap, prefix + "a", b"one")
    kafka_broker.kill()
    assert not answers(kafka_broker.bootstrap)
    kafka_broker.start()
    assert await _read(kafka_broker.bootstrap, prefix + "a") == b"one"


def test_the_embedded_broker_dies_with_its_parent() -> None:
    script = (
        "from deploy.embedded.brokers import EmbeddedBroker; import os, signal;"
        "print(EmbeddedBroker().start().pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    child = Path(f"/proc/{int(done.stdout)}")
    deadline = time.monotonic() + 5
    while child.exists() and "Z" not in child.joinpath("stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the broker outlived its parent"
        time.sleep(0.02)


def test_an_exit_at_start_shows_the_log() -> None:
    class Broken(EmbeddedBroker):
        def command(self) -> list[str]:
            return [sys.executable, "-c", "raise SystemExit('no luck today')"]

    with pytest.raises(BrokerError, match=r"ended with exit code 1:\n  \| no luck today"):
        Broken().start()


def test_missing_java_is_an_error_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BrokerError, match="Java is missing: install"):
        KafkaBroker().start()
