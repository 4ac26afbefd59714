"""What machines of workers that die have in common: a partition, and its workers in turn."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.batching import StoppedFolder, StoppedPartition
from tests.support.worker_world import Died, Life, Log, Pending


class DyingMachine(RuleBasedStateMachine):
    """Its subclass begins with `life`, and says how workers start, and what is proved of them.

    folders: of owners with states on disk. late: records that dead workers have on their way.
    tampered: whether any of those came after a successor had restored the log
    """

    root: Path
    runner: asyncio.Runner
    log: Log
    life: Life
    folders: dict[str, Path]
    kills: int
    late: list[Pending]
    tampered: bool

    def kill(self, arrives: int = 1, late: int = 0) -> None:
        """The worker dies."""
        raise NotImplementedError

    def start(self, owner: str, size: int, dies_after: int | None) -> None:
        """Another one starts."""
        raise NotImplementedError

    def prove(self, stopped: StoppedPartition) -> None:
        """What is on disk is exact."""
        raise NotImplementedError

    # --- work -----------------------------------------------------------------------------------

    @rule(count=st.integers(1, 3))
    def acknowledge(self, count: int) -> None:
        for batch in self.life.producer.pending[:count]:
            self.life.producer.deliver(batch)
        self.run(asyncio.sleep(0))

    @rule()
    def flush_to_disk(self) -> None:
        self.life.flush_to_disk()

    def attempt(self, step: Callable[[], Any], fails: int) -> None:
        """fails: the worker dies at this call of its producer, with 1 to 4."""
        producer = self.life.producer
        producer.dies_at = producer.calls + fails if 0 < fails < 5 else None
        try:
            self.run(step())
        except Died:
            self.kill()
            self.start("a", 2, None)
        producer.dies_at = None

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    # --- deaths ---------------------------------------------------------------------------------

    def killed(self, life: Life, owner: str, arrives: int, late: int) -> list[Pending]:
        """What was on its way to the log; the folder of the owner is what the worker left."""
        self.kills += 1
        left = self.root / str(self.kills) if owner != "memory" else None
        on_the_way = life.kill(left, arrives, late)
        if left is not None:
            shutil.rmtree(self.folders[owner])
            self.folders[owner] = left
            self.prove_stopped(left)
        return on_the_way

    @precondition(lambda self: self.late)
    @rule()
    def arrive_late(self) -> None:
        """Records of a dead worker reach the log after its successor has restored it."""
        batch = self.late.pop()
        for key, value in batch.records:
            self.log.append(batch.topic, key, value, batch.at)
        self.tampered = True

    # --- proofs ---------------------------------------------------------------------------------

    @invariant()
    def what_is_written_is_exact(self) -> None:
        if hasattr(self, "life") and self.life.opened is not None:
            self.prove(StoppedPartition.of(self.life.opened))

    def prove_stopped(self, folder: Path) -> None:
        stopped = StoppedFolder(folder, self.life.app.conf.id)
        for partition in stopped.partitions():
            found = stopped.open(partition)
            self.prove(found)
            found.close()
        stopped.close()
