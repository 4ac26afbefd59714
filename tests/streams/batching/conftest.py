"""Apps of the batching tests, on each broker; workers that a test left running are ended."""

from collections.abc import Iterator

import pytest

from deploy.embedded.brokers import Broker
from tests.streams.batching.harness import Rig, cleaned


@pytest.fixture
def rig(strongest_broker: Broker, prefix: str) -> Iterator[Rig]:
    """On real Kafka, or the embedded broker where that is missing."""
    with cleaned(Rig(strongest_broker, prefix)) as made:
        yield made


@pytest.fixture
def rig_on_both(broker: Broker, prefix: str) -> Iterator[Rig]:
    """On each of the two brokers in turn, where they answer differently."""
    with cleaned(Rig(broker, prefix)) as made:
        yield made


@pytest.fixture
def kafka_rig(kafka_broker: Broker, prefix: str) -> Iterator[Rig]:
    """On real Kafka alone."""
    with cleaned(Rig(kafka_broker, prefix)) as made:
        yield made


@pytest.fixture
def quick_rig(embedded_broker: Broker, prefix: str) -> Iterator[Rig]:
    """On the embedded broker alone, where both would behave alike."""
    with cleaned(Rig(embedded_broker, prefix)) as made:
        yield made
