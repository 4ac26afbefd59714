"""The clock of a partition: wall time at the head of the log, record time while catching up.

So a replay, or a worker that was down for a day, expires and retires by the times of the records
it reads, and decides the same as it would have decided then (ADR 0004). A clock never runs ahead
of the wall clock and never goes back.
"""

from collections import defaultdict
from collections.abc import Iterable


class PartitionClock:
    """What time it is for one partition of several co-partitioned topics. All in epoch ms."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._newest_read: dict[str, int] = dict.fromkeys(topics, 0)
        self._at_head: defaultdict[str, bool] = defaultdict(bool)
        self._now = 0

    def advance(self, topic: str, record_ms: int, *, at_head: bool) -> None:
        """A batch of `topic` was read up to a record of this time; `at_head`: it was the last."""
        self._newest_read[topic] = max(self._newest_read[topic], record_ms)
        self._at_head[topic] = at_head

    def idle(self, topic: str, *, at_head: bool) -> None:
        """Nothing was read; `at_head`: because there is nothing more."""
        self._at_head[topic] = at_head

    @property
    def newest(self) -> int:
        """The latest record time heard of any topic."""
        return max(self._newest_read.values())

    def now(self, wall_ms: int) -> int:
        """The partition's time; 0 while a topic that lies behind has not been heard of yet."""
        times = (
            wall_ms if self._at_head[topic] else min(heard, wall_ms)
            for topic, heard in self._newest_read.items()
        )
        self._now = max(self._now, min(times))
        return self._now
