"""The clock of a partition: wall time at the head of the log, record time while catching up.

So a replay, or a worker that was down for a day, expires and retires messages by the times of the
records it reads, and decides the same as it would have decided then (ADR 0004). A clock never runs
ahead of the wall clock and never goes back.
"""

from collections import defaultdict
from collections.abc import Iterable


class PartitionClock:
    """The time of one partition of several co-partitioned topics. All times in epoch ms."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._newest_read: dict[str, int] = dict.fromkeys(topics, 0)
        self._at_head: defaultdict[str, bool] = defaultdict(bool)
        self._now = 0

    def advance(self, topic: str, record_ms: int, *, at_head: bool) -> None:
        """A batch of `topic` ended with a record of this time; at_head: nothing follows it."""
        self._newest_read[topic] = max(self._newest_read[topic], record_ms)
        self._at_head[topic] = at_head

    def idle(self, topic: str, *, at_head: bool) -> None:
        """No batch was read; at_head: because the topic has no more records."""
        self._at_head[topic] = at_head

    @property
    def newest(self) -> int:
        """The latest record time of all topics."""
        return max(self._newest_read.values())

    def now(self, wall_ms: int) -> int:
        """The partition's time; 0 while a lagging topic has no batch yet."""
        times = (
            wall_ms if self._at_head[topic] else min(newest, wall_ms)
            for topic, newest in self._newest_read.items()
        )
        self._now = max(self._now, min(times))
        return self._now
