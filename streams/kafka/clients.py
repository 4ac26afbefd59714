"""aiokafka's clients with the options that all processes share."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

from streams.kafka.connections import adopt
from streams.kafka.reading import guard_reading

#: A broker that does not answer for this long is taken for dead, and another is tried. Kafka's
#: controller needs about as long to notice (`broker.session.timeout.ms`, 9 s by default).
REQUEST_TIMEOUT_MS: Final = 10_000

#: What a command asks of the cluster is tried again for this long: a dead broker's partitions, and
#: a dead controller, have successors by then.
PATIENCE_S: Final = 30.0

Answer = TypeVar("Answer")


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


async def retry_for_a_while(
    ask: Callable[[], Awaitable[Answer]], patience_s: float = PATIENCE_S
) -> Answer:
    """The answer to ask(), called again while it fails with what another broker may answer.

    Raises what ask() raised last: KafkaError or TimeoutError.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception(may_pass),
        stop=stop_after_delay(patience_s),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    return await retrying(ask)


def may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later: brokers are away, slow, or change their roles.

    aiokafka calls its own timeout (what was not acknowledged in time) not retriable.
    """
    if isinstance(error, TimeoutError | KafkaTimeoutError | KafkaConnectionError):
        return True
    return isinstance(error, KafkaError) and bool(error.retriable)
