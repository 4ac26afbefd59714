"""aiokafka's clients with the options that all processes share."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

from streams.kafka.connections import adopt
from streams.kafka.reading import guard_reading
from streams.kafka.refusals import denied_right
from streams.kafka.security import Access

#: A broker that does not answer for this long counts as dead, and another is tried. Kafka's
#: controller takes about as long to notice (`broker.session.timeout.ms`, 9 s by default).
REQUEST_TIMEOUT_MS: Final = 10_000

#: Requests of a command are retried for this long: by then a dead broker's partitions, or a dead
#: controller, have successors.
PATIENCE_S: Final = 30.0

Result = TypeVar("Result")


def consumer(access: Access, **options: Any) -> AIOKafkaConsumer:
    """A consumer that commits nothing by itself. Call it inside a running loop.

    Unreadable records are UnreadableRecords. Raises UnusableClient when a codec is missing.
    """
    guard_reading()
    shared: dict[str, Any] = {
        **access.for_aiokafka,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    made = AIOKafkaConsumer(**{**shared, **options})
    adopt(made._client)
    return made


def producer(access: Access, **options: Any) -> AIOKafkaProducer:
    """A producer with acks from all in-sync replicas. Call it inside a running loop."""
    shared: dict[str, Any] = {
        **access.for_aiokafka,
        "acks": "all",
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    made = AIOKafkaProducer(**{**shared, **options})
    adopt(made.client)
    return made


def admin(access: Access, **options: Any) -> AIOKafkaAdminClient:
    """An admin client. Call it inside a running loop."""
    shared: dict[str, Any] = {
        **access.for_aiokafka,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    made = AIOKafkaAdminClient(**{**shared, **options})
    adopt(made._client)
    return made


async def retry_for_a_while(
    request: Callable[[], Awaitable[Result]], patience_s: float = PATIENCE_S
) -> Result:
    """The result of request(), retried while it fails with an error that may pass.

    Raises the last error of request(): KafkaError or TimeoutError.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception(may_pass),
        stop=stop_after_delay(patience_s),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    return await retrying(request)


def may_change(error: BaseException) -> bool:
    """Whether the same call may succeed later, perhaps after a right is granted."""
    return may_pass(error) or denied_right(error) is not None


def may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later: brokers are away, slow, or change their roles.

    aiokafka's own timeout (a record was not acknowledged in time) is not marked as retriable.
    """
    if isinstance(error, TimeoutError | KafkaTimeoutError | KafkaConnectionError):
        return True
    return isinstance(error, KafkaError) and bool(error.retriable)
