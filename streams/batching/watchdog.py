"""Checks of a running worker: its membership, Kafka's silence, and its topics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from faust.types import TP

from streams.batching.errors import BatchingError, FenceLost
from streams.kafka.refusals import AccessRefused, denied_right

if TYPE_CHECKING:
    from streams.batching.app import BatchApp

log = logging.getLogger(__name__)

POLL_S: Final = 0.25

#: Seconds between log lines about a trouble that lasts.
REPEAT_S: Final = 60.0

#: Seconds for which a topic must be missing before all brokers are asked for it.
MISSING_S: Final = 3.0


class Watchdog:
    """One per consumer. run() ends when the app failed, or when it is cancelled."""

    def __init__(self, app: BatchApp) -> None:
        self._app = app
        self._logged_at: float | None = None
        self._began_at = 0.0
        self._logged_state: tuple[int, frozenset[int], bool] | None = None
        self._missing_since: dict[str, float] = {}
        self._read_up_to: dict[TP, int] = {}

    async def run(self, topics: set[str]) -> None:
        """topics: names of all topics that the app reads."""
        while self._app.failure is None:
            if error := self._failure():
                self._app.fail(error)
                return
            self._log_trouble(self._app.trouble())
            self._log_partitions()
            await self._check_topics(topics)
            await asyncio.sleep(POLL_S)

    def _failure(self) -> Exception | None:
        if reason := self._app.fence.lost:
            return FenceLost(reason)
        return self._app.batch_consumer.coordination_error() or self._rewound()

    # ------------------------------------------------------------------ Kafka's silence

    def _log_trouble(self, trouble: str | None) -> None:
        """Log when it begins, once a minute, and when it is over."""
        now = time.monotonic()
        if trouble is None:
            if self._logged_at is not None:
                log.info("Kafka answers again after %.1f s", now - self._began_at)
            self._logged_at = None
        elif self._logged_at is None or now - self._logged_at >= REPEAT_S:
            if self._logged_at is None:
                self._began_at = now
            self._logged_at = now
            log.warning("Kafka: %s; this worker waits and continues by itself", trouble)

    def _log_partitions(self) -> None:
        """Log an assignment, and when its tables are restored."""
        app = self._app
        assigned = app.assigned_partitions
        state = (app.generation, assigned, app.ready_partitions == assigned)
        if not assigned or not app.fence.held or state == self._logged_state:
            return
        names = ", ".join(map(str, sorted(assigned)))
        if state[2]:
            restored = sum(progress.restored for progress in app.restoring)
            log.info("Partitions %s are ready, %d records were restored", names, restored)
        else:
            log.info("Partitions %s are assigned (generation %d)", names, app.generation)
        self._logged_state = state

    # ------------------------------------------------------------------ topics

    async def _check_topics(self, topics: Iterable[str]) -> None:
        """Fail when a topic was deleted; the clients notice it through their requests."""
        missing = self._app.batch_consumer.unknown(topics) | self._app.batch_producer.unknown()
        now = time.monotonic()
        self._missing_since = {name: self._missing_since.get(name, now) for name in missing}
        late = [name for name, since in self._missing_since.items() if now - since > MISSING_S]
        if late and (gone := await self._app.batch_producer.missing(late)):
            self._app.fail(self._app.loss_of_topics(gone))

    def _rewound(self) -> Exception | None:
        """The failure of a log that was replaced: a partition is then read from a lower offset."""
        for tp, offset in self._app.batch_consumer.positions().items():
            if offset < self._read_up_to.get(tp, 0):
                return log_replaced(tp.topic, tp.partition, offset, self._read_up_to[tp])
            self._read_up_to[tp] = offset
        return None

    def forget(self) -> None:
        """Start an assignment: partitions are read again from their committed offsets."""
        self._read_up_to.clear()


def topics_hidden(names: list[str], user: str) -> AccessRefused | None:
    """The failure when the user may no longer see topics while the worker runs; None: no names."""
    return denied_right(TopicAuthorizationFailedError(names), "DESCRIBE", user) if names else None


def topics_deleted(names: list[str]) -> BatchingError:
    """The failure when topics were deleted while the worker runs."""
    return BatchingError(
        f"topics no longer exist: {', '.join(names)}. Fix: create them again, unless that is done, "
        "and start again; the data that only they held is lost. If they do exist, this user may "
        "not see them: grant what `receipts topics --acls` prints"
    )


def log_replaced(topic: str, partition: int, offset: int, before: int) -> BatchingError:
    """The failure when a log was replaced by a shorter one while the worker runs."""
    return BatchingError(
        f"topic {topic}, partition {partition} continues at offset {offset} after {before}: it was "
        "deleted and created again, or lost records. Fix: start again, so that states are restored "
        "from the topics as they are now"
    )


async def missing_topics(client: Any, names: Iterable[str]) -> list[str]:
    """The names that the cluster does not know; empty when no broker answers."""
    try:
        cluster = await client.fetch_all_metadata()
    except KafkaError:
        return []
    return sorted(name for name in names if not cluster.partitions_for_topic(name))
