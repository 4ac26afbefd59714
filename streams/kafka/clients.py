"""aiokafka's clients with the options that all processes share."""

from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka.connections import adopt
from streams.kafka.reading import guard_reading

#: A broker that does not answer for this long is taken for dead, and another is tried. Kafka's
#: controller needs about as long to notice (`broker.session.timeout.ms`, 9 s by default).
REQUEST_TIMEOUT_MS: Final = 10_000


def consumer(brokers: str, **options: Any) -> AIOKafkaConsumer:
    """A consumer that commits nothing by itself. Call it inside a running loop.

    What it cannot read comes as UnreadableRecords. Raises UnusableClient when a codec is missing.
    """
    guard_reading()
    shared: dict[str, Any] = {
        "bootstrap_servers": brokers,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    made = AIOKafkaConsumer(**{**shared, **options})
    adopt(made._client)
    return made


def producer(brokers: str, **options: Any) -> AIOKafkaProducer:
    """A producer whose records all in-sync replicas have. Call it inside a running loop."""
    shared: dict[str, Any] = {
        "bootstrap_servers": brokers,
        "acks": "all",
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    made = AIOKafkaProducer(**{**shared, **options})
    adopt(made.client)
    return made


def admin(brokers: str, **options: Any) -> AIOKafkaAdminClient:
    """An admin client. Call it inside a running loop."""
    shared: dict[str, Any] = {
        "bootstrap_servers": brokers,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    made = AIOKafkaAdminClient(**{**shared, **options})
    adopt(made._client)
    return made
