"""Into Kafka: a callback is accepted when all in-sync replicas have it."""

import asyncio
from typing import Any, Final

from aiokafka.errors import KafkaError

from models.callbacks import RawCallback
from models.metrics import Meter

#: Callbacks wait so long for others of their batch, in ms.
LINGER_MS: Final = 5
MAX_BATCH_BYTES: Final = 512 * 1024


class Inbox:
    """Callbacks on their way into the topic `callbacks`; what waits is bounded.

    max_waiting, max_bytes: of all callbacks that wait for Kafka
    timeout_s: after it the provider is sent away; it must be shorter than the provider's own
    """

    def __init__(
        self,
        producer: Any,
        topic: str,
        meter: Meter,
        *,
        timeout_s: float,
        max_waiting: int = 5_000,
        max_bytes: int = 64 * 1024**2,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._meter = meter
        self._timeout_s = timeout_s
        self._max_waiting, self._max_bytes = max_waiting, max_bytes
        self._waiting = self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether another callback would be sent away."""
        return self._waiting >= self._max_waiting or self._bytes >= self._max_bytes

    async def put(self, callback: RawCallback) -> bool:
        """Whether Kafka has it. False: it may have it nevertheless, so the provider's next attempt
        may be a repeat, which changes nothing."""
        if self.is_full:
            return False
        size = len(callback.body)
        self._waiting += 1
        self._bytes += size
        self._meter.set("receipts_callbacks_waiting", self._waiting)
        try:
            async with asyncio.timeout(self._timeout_s):
                sent = await self._producer.send(
                    self._topic, callback.body, headers=callback.headers()
                )
                sent.add_done_callback(_retrieved)
                await asyncio.shield(sent)
        except (KafkaError, TimeoutError):
            return False
        finally:
            self._waiting -= 1
            self._bytes -= size
            self._meter.set("receipts_callbacks_waiting", self._waiting)
        return True


def _retrieved(sent: "asyncio.Future[Any]") -> None:
    """Look at the result: after a timeout nobody else does, and asyncio would log an error."""
    if not sent.cancelled():
        sent.exception()
