"""Publishes what states on disk use: space, memory, reads."""

import asyncio
from collections.abc import Callable
from typing import Final

from models.metrics import Meter
from streams.batching import StateUse

REPORT_INTERVAL_S: Final = 10.0


class StateReporter:
    """use: reads the disk, in a thread; None: states are in memory"""

    def __init__(self, use: Callable[[], StateUse | None], meter: Meter) -> None:
        self._use = use
        self._meter = meter
        self._reads: dict[str, int] = {}
        """Counted so far, by source."""
        self._partitions: frozenset[int] = frozenset()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            use = await asyncio.to_thread(self._use)
            if use is not None:
                self.report(use)
            await asyncio.sleep(REPORT_INTERVAL_S)

    def report(self, use: StateUse) -> None:
        """Set the gauges and raise the counters."""
        meter = self._meter
        meter.set("receipts_state_disk_free_bytes", use.free)
        meter.set("receipts_state_disk_bytes", use.total)
        for part, size in use.memory.items():
            meter.set("receipts_state_memory_bytes", size, part=part)
            meter.set("receipts_state_memory_limit_bytes", use.limits[part], part=part)
        for source, reads in use.reads.items():
            new = reads - self._reads.get(source, 0)
            meter.add("receipts_state_reads_total", new, source=source)
        self._reads = dict(use.reads)
        for partition, size in use.databases.items():
            meter.set("receipts_state_bytes", size, partition=str(partition))
        for partition in self._partitions - use.databases.keys():
            meter.forget("receipts_state_bytes", partition=str(partition))
        self._partitions = frozenset(use.databases)
