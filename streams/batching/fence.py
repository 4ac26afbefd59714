"""The fence: whether we may still produce, by the age of the last proof of group membership.

A worker that was paused (SIGSTOP, a stopped VM, a long collection) may wake up after its partitions
were reassigned. Without transactions Kafka cannot refuse its writes, so the worker must refuse them
itself: every produce request passes check() right before it is written to the socket.

Proof is an accepted heartbeat or SyncGroup response. Its time is when the request was sent, so the
broker's own session timer always ends later than ours (aiokafka keeps the time of the last
heartbeat in a local variable only, consumer/group_coordinator.py:752, so requests are observed).

If the proof is too old, the worker does not end, since the group coordinator may be away: it waits
and writes nothing. A heartbeat that is accepted later, for the same member and generation, proves
that no rebalance was completed meanwhile, so no other worker had our partitions. Only the
coordinator's answer that it no longer knows us is final (docs/adr/0012-a-fence-that-waits.md).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any, Final

from aiokafka import errors
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest

from streams.batching.errors import FenceLost, FenceNotProved
from streams.kafka.errors import error_codes

_ALIVE = frozenset({0, errors.RebalanceInProgressError.errno})
_FORGOTTEN = frozenset({errors.UnknownMemberIdError.errno, errors.IllegalGenerationError.errno})

#: Poll interval of waiting callers. Proofs come from another thread, about once a second.
POLL_S: Final = 0.05


def clock() -> float:
    """Seconds of a clock that also runs while the machine sleeps, where one exists."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Fence:
    """Used from two threads: proofs come from the consumer's, checks from the main one."""

    def __init__(
        self,
        session_timeout_s: float,
        rebalance_timeout_s: float = math.inf,
        now: Callable[[], float] = clock,
    ) -> None:
        self.session_timeout_s = session_timeout_s
        self.rebalance_timeout_s = rebalance_timeout_s
        self.now = now
        self.held = False
        self._proved_at = 0.0
        self._stable_at = 0.0
        """Time of the last proof that no rebalance was under way."""
        self._lost: str | None = None

    @property
    def lost(self) -> str | None:
        """Why nothing may be produced ever again; None: the fence is not lost."""
        return self._lost

    @property
    def age_s(self) -> float:
        """Seconds since the last proof; 0 while no partitions are held."""
        return max(0.0, self.now() - self._proved_at) if self.held else 0.0

    @property
    def waiting(self) -> bool:
        """Whether partitions are held, but membership is not proved at the moment.

        During a rebalance the group drops a member that has not joined again within the rebalance
        timeout, however recently it sent a heartbeat.
        """
        if self._lost is not None or not self.held:
            return False
        unstable_s = self.now() - self._stable_at
        return self.age_s > self.session_timeout_s or unstable_s > self.rebalance_timeout_s

    def check(self) -> None:
        """Raises FenceNotProved when nothing may be produced now, FenceLost when never again."""
        self._raise_if_lost()
        if self.waiting:
            raise FenceNotProved(f"the last accepted heartbeat is {self.age_s:.1f} s old")

    async def proved(self) -> None:
        """Wait until producing is allowed. Raises FenceLost when it never will be."""
        self._raise_if_lost()
        while self.waiting:
            await asyncio.sleep(POLL_S)
            self._raise_if_lost()

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise FenceLost(self._lost)
        if not self.held:
            raise FenceLost("no partitions are held: nothing may be produced between assignments")

    def release(self) -> None:
        """All partitions are revoked: no proof is needed, nothing may be produced."""
        self.held = False

    def lose(self, reason: str) -> None:
        """Forbid producing for good."""
        self._lost = self._lost or reason

    def observe(self, request: object, codes: frozenset[int], sent_at: float) -> None:
        """Record the group coordinator's response to a request sent at `sent_at`."""
        if isinstance(request, SyncGroupRequest) and codes == {0}:
            self._proved_at = self._stable_at = sent_at
            self.held = True
        elif self.held and isinstance(request, HeartbeatRequest | OffsetCommitRequest):
            if codes & _FORGOTTEN:
                self.lose(
                    f"the consumer group no longer knows this worker, whose last accepted "
                    f"heartbeat is {self.age_s:.1f} s old: others may own its partitions"
                )
            elif isinstance(request, HeartbeatRequest) and codes <= _ALIVE:
                self._proved_at = max(self._proved_at, sent_at)
                if codes == {0}:
                    self._stable_at = max(self._stable_at, sent_at)

    def watch(self, coordinator: Any) -> None:
        """Observe every request of an aiokafka GroupCoordinator.

        All of them go through its _send_req (aiokafka/consumer/group_coordinator.py:299, 808,
        1448), looked up on the instance at each call.
        """
        send = coordinator._send_req

        async def watched(request: Any) -> Any:
            sent_at = self.now()
            if isinstance(request, LeaveGroupRequest) and self.held:
                self.lose("this worker left its consumer group while it held partitions")
            response = await send(request)
            self.observe(request, error_codes(response), sent_at)
            return response

        coordinator._send_req = watched
