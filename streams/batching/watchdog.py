"""What a running worker keeps an eye on: its membership, Kafka's silence, and its topics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaError
from faust.types import TP

from streams.batching.errors import BatchingError, FenceLost

if TYPE_CHECKING:
    from streams.batching.app import BatchApp

log = logging.getLogger(__name__)

LOOK_S: Final = 0.25

#: A trouble that lasts is logged this often.
SAY_AGAIN_S: Final = 60.0

#: A topic that a broker does not know is looked for this long at the others, before it counts.
MISSING_S: Final = 3.0


class Watchdog:
    """One per consumer. run() ends when the app failed, or when it is cancelled."""

    def __init__(self, app: BatchApp) -> None:
        self._app = app
        self._said_at: float | None = None
        self._began_at = 0.0
        self._said: tuple[int, frozenset[int], bool] | None = None
        self._missing_since: dict[str, float] = {}
        self._read_up_to: dict[TP, int] = {}

    async def run(self, topics: set[str]) -> None:
        """topics: names of all topics that the app reads."""
        while self._app.failure is None:
            if error := self._failure():
                self._app.fail(error)
                return
            self._say_trouble(self._app.trouble())
            self._say_partitions()
            await self._look_for(topics)
            await asyncio.sleep(LOOK_S)

    def _failure(self) -> Exception | None:
        if reason := self._app.fence.lost:
            return FenceLost(reason)
        return self._app.batch_consumer.coordination_error() or self._rewound()

    # ------------------------------------------------------------------ Kafka's silence

    def _say_trouble(self, trouble: str | None) -> None:
        """One line when it begins, one a minute, one when it is over."""
        now = time.monotonic()
        if trouble is None:
            if self._said_at is not None:
                log.info("Kafka answers again after %.1f s: going on", now - self._began_at)
            self._said_at = None
        elif self._said_at is None or now - self._said_at >= SAY_AGAIN_S:
            if self._said_at is None:
                self._began_at = now
            self._said_at = now
            log.warning("Kafka: %s; this worker waits and goes on by itself", trouble)

    def _say_partitions(self) -> None:
        """One line for an assignment, one when its tables are restored."""
        app = self._app
        assigned = app.assigned_partitions
        state = (app.generation, assigned, app.ready_partitions == assigned)
        if not assigned or not app.fence.held or state == self._said:
            return
        names = ", ".join(map(str, sorted(assigned)))
        if state[2]:
            restored = sum(progress.restored for progress in app.restoring)
            log.info("Partitions %s are ready, %d records were restored", names, restored)
        else:
            log.info("Partitions %s are assigned (generation %d)", names, app.generation)
        self._said = state

    # ------------------------------------------------------------------ topics

    async def _look_for(self, topics: Iterable[str]) -> None:
        """Fail when a topic is gone. The clients learn of it by what their requests bring."""
        missing = self._app.batch_consumer.unknown(topics) | self._app.batch_producer.unknown()
        now = time.monotonic()
        self._missing_since = {name: self._missing_since.get(name, now) for name in missing}
        late = [name for name, since in self._missing_since.items() if now - since > MISSING_S]
        if late and (gone := await self._app.batch_producer.missing(late)):
            self._app.fail(topics_gone(gone))

    def _rewound(self) -> Exception | None:
        """What is read of a partition goes on where it ended, unless its log begins anew."""
        for tp, offset in self._app.batch_consumer.positions().items():
            if offset < self._read_up_to.get(tp, 0):
                return log_begins_anew(tp.topic, tp.partition, offset, self._read_up_to[tp])
            self._read_up_to[tp] = offset
        return None

    def forget(self) -> None:
        """A new assignment: partitions are read again from what is committed."""
        self._read_up_to.clear()


def topics_gone(names: list[str]) -> BatchingError:
    """The failure of a worker whose topics were deleted under it."""
    return BatchingError(
        f"topics do not exist any more: {', '.join(names)}. Fix: create them again (if somebody "
        "did already, start again); what only they held is lost"
    )


def log_begins_anew(topic: str, partition: int, offset: int, before: int) -> BatchingError:
    """The failure of a worker under which a log was replaced by a shorter one."""
    return BatchingError(
        f"topic {topic}, partition {partition} continues at offset {offset} after {before}: it was "
        "deleted and made again, or lost records. Fix: start again, so that states are restored "
        "from what is there"
    )


async def missing_topics(client: Any, names: Iterable[str]) -> list[str]:
    """Those of the names that the cluster does not know; empty when no broker answers."""
    try:
        cluster = await client.fetch_all_metadata()
    except KafkaError:
        return []
    return sorted(name for name in names if not cluster.partitions_for_topic(name))
