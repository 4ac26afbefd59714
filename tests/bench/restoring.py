"""The real `receipts worker` that says when its restore began and ended.

`python -m tests.bench.restoring` runs the command line with two functions wrapped: the app's
beginning of an assignment, and the agent's fold of a restored partition. Nothing else is changed.
It prints lines `bench NAME EPOCH_SECONDS [PARTITION]` on stdout.
"""

import sys
import time

from faust.types import TP

from deploy.cli import main
from streams.batching import BatchApp
from streams.lifecycle.agent import LifecycleAgent


def _say(name: str, *words: object) -> None:
    print("bench", name, f"{time.time():.6f}", *words, flush=True)


def _wrap() -> None:
    begin, fold = BatchApp.begin_assignment, LifecycleAgent.open

    def begin_assignment(self: BatchApp, assigned: set[TP]) -> None:
        _say("assigned", len(assigned))
        begin(self, assigned)

    async def open_partition(self: LifecycleAgent, partition: int) -> None:
        _say("folding", partition)
        await fold(self, partition)
        _say("ready", partition)

    BatchApp.begin_assignment = begin_assignment  # type: ignore[method-assign]
    LifecycleAgent.open = open_partition  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    _wrap()
    sys.argv = ["receipts", "worker"]
    main()
