"""The real `receipts worker` that kills itself (SIGKILL) at one chosen point.

`python -m tests.support.crashing POINT` with POINT one of
  between-states-and-strike       all states are written but those that wait for their strikes
  between-strike-and-state        strikes are acknowledged, their states not yet written
  between-suppression-and-offset  suppressions are written, their offsets not committed
Nothing else is changed.
"""

import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from deploy.cli import main
from streams.batching.consumer import BatchConsumer
from streams.common.delivery import Delivery
from streams.common.plan import Plan
from streams.suppression.agent import SuppressionAgent
from streams.suppression.shard import RecipientShard


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _between_strike_and_state() -> None:
    produce = Delivery._produce_acknowledged

    async def produce_and_die(self: Delivery, outputs: Mapping[Any, list[Any]]) -> None:
        await produce(self, outputs)
        if outputs.get("strikes"):
            _die()

    Delivery._produce_acknowledged = produce_and_die  # type: ignore[method-assign]


def _between_states_and_strike() -> None:
    flush = Delivery.flush

    async def flush_and_die(self: Delivery, partition: int) -> None:
        if self._deferred[partition].outputs["strikes"]:
            await self._sender.flush()  # type: ignore[attr-defined]  # the app
            _die()
        await flush(self, partition)

    Delivery.flush = flush_and_die  # type: ignore[method-assign]


def _between_suppression_and_offset() -> None:
    deliver, commit = SuppressionAgent._deliver, BatchConsumer._commit
    suppressed: list[int] = []

    async def deliver_and_note(self: SuppressionAgent, shard: RecipientShard, plan: Plan) -> None:
        await deliver(self, shard, plan)
        if newly := plan.counts["receipts_suppressions_total", "suppressed"]:
            await self._group.flush()
            suppressed.append(newly)

    async def die_instead(self: BatchConsumer, offsets: Mapping[Any, int]) -> bool:
        if suppressed:
            _die()
        return bool(await commit(self, offsets))

    SuppressionAgent._deliver = deliver_and_note  # type: ignore[method-assign, assignment]
    BatchConsumer._commit = die_instead  # type: ignore[method-assign, assignment]


POINTS = {
    "between-states-and-strike": _between_states_and_strike,
    "between-strike-and-state": _between_strike_and_state,
    "between-suppression-and-offset": _between_suppression_and_offset,
}

if __name__ == "__main__":
    POINTS[sys.argv[1]]()
    sys.argv = ["receipts", "worker"]
    main()
