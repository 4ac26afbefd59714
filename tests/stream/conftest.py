"""Brokers, topics and names for the stream tests.

`broker` runs a test twice: on the embedded broker and on real Apache Kafka. Tests that need the
real one take `kafka_broker` and carry the marker `kafka`. Without Java or Maven those are skipped
with the reason; where CI=true that is a failure instead.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.embedded.brokers import Broker, EmbeddedBroker, KafkaBroker, missing_for_kafka

Topics = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[Broker]:
    """One Tansu for the whole session; tests stay apart by their topic prefix."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Broker]:
    """One real Apache Kafka for the whole session."""
    if lack := missing_for_kafka():
        if os.environ.get("CI") == "true":
            pytest.fail(f"real Kafka is required in CI: {lack}")
        pytest.skip(f"real Kafka: {lack}")
    # The cleaner looks for work every 15 s by default: too rarely for the tests of compaction.
    with KafkaBroker(log_cleaner_backoff_ms="200") as broker:
        yield broker


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each of the two brokers in turn."""
    found = request.getfixturevalue(f"{request.param}_broker")
    assert isinstance(found, Broker)
    return found


@pytest.fixture
def prefix() -> str:
    """A prefix of topic names and group ids that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}."


async def create_topics(
    bootstrap: str,
    *names: str,
    partitions: int = 4,
    config: Mapping[str, str] | None = None,
    replication: int = 1,
) -> None:
    """Create topics and wait for them; raises when the broker refuses one."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = [
            NewTopic(name, partitions, replication, topic_configs=dict(config or {}))
            for name in names
        ]
        answer = await admin.create_topics(wanted)
        refused = [entry for entry in answer.topic_errors if entry[1] != 0]
        assert not refused, f"topics not created: {refused}"
    finally:
        await admin.close()


@pytest.fixture
def make_topics() -> Topics:
    """create_topics, for tests that cannot import this file."""
    return create_topics
