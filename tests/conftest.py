"""Brokers, a front of ClickHouse's engine, and names that tests share.

`broker` runs a test twice: on the embedded broker and on real Apache Kafka. `strongest_broker` runs
it once, on Kafka where it can run and on the embedded broker elsewhere: for what takes long and
must hold on both. Tests that need the real one take `kafka_broker` and carry the marker `kafka`.
Without Java or Maven those are skipped with the reason; where CI=true that is a failure instead.
The same holds for `prometheus_programs`.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.embedded.brokers import Broker, EmbeddedBroker, KafkaBroker, missing_for_kafka
from tests.support.front import Front
from tests.support.prometheus import fetch_prometheus, missing_for_prometheus

# A busy machine is not a failure: no test is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Commands that end soon silence the libraries of their process, which is ours here."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[Broker]:
    """One Tansu for the whole session; tests stay apart by their topic prefix."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def needs_kafka() -> None:
    """Skips where real Kafka cannot run; in CI that is a failure."""
    if lack := missing_for_kafka():
        if os.environ.get("CI") == "true":
            pytest.fail(f"real Kafka is required in CI: {lack}")
        pytest.skip(f"real Kafka: {lack}")


@pytest.fixture(scope="session")
def prometheus_programs() -> Path:
    """Folder of promtool, prometheus, amtool and prometheus-alertmanager."""
    if lack := missing_for_prometheus():
        if os.environ.get("CI") == "true":
            pytest.fail(f"Prometheus is required in CI: {lack}")
        pytest.skip(f"Prometheus: {lack}")
    return fetch_prometheus()


@pytest.fixture(scope="session")
def kafka_broker(needs_kafka: None) -> Iterator[Broker]:
    """One real Apache Kafka for the whole session."""
    # The cleaner looks for work every 15 s by default: too rarely for the tests of compaction.
    with KafkaBroker(log_cleaner_backoff_ms="200") as broker:
        yield broker
        broker.kill()  # its orderly end takes long, and nobody needs what it has


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each of the two brokers in turn."""
    found = request.getfixturevalue(f"{request.param}_broker")
    assert isinstance(found, Broker)
    return found


@pytest.fixture(scope="session")
def strongest_broker(request: pytest.FixtureRequest) -> Broker:
    """Real Kafka, or the embedded broker where that is missing and not required."""
    required = os.environ.get("CI") == "true"
    name = "embedded" if missing_for_kafka() and not required else "kafka"
    found = request.getfixturevalue(f"{name}_broker")
    assert isinstance(found, Broker)
    return found


@pytest.fixture
def prefix() -> str:
    """A prefix of topic names and group ids that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """One front of the engine for the whole session; tests stay apart by their database."""
    server = Front(tmp_path_factory.mktemp("front")).start()
    yield server
    server.stop()
