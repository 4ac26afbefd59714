"""The fence: whether we may still produce, by the age of the last proof of group membership.

A worker that was paused (SIGSTOP, a stopped VM, a long collection) may wake up after the group gave
its partitions to another. Kafka cannot refuse its writes without transactions, so it must refuse
them itself: every produce request passes check() right before it is written to the socket.

Proof is an accepted heartbeat or SyncGroup answer; its time is that of the request's departure, so
the broker's own session timer always ends later than ours (aiokafka keeps the time of the last
heartbeat in a local variable only, consumer/group_coordinator.py:752, so the requests are watched).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiokafka import errors
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from streams.batching.errors import FenceLost

_ALIVE = frozenset({0, errors.RebalanceInProgressError.errno})
_FORGOTTEN = frozenset({errors.UnknownMemberIdError.errno, errors.IllegalGenerationError.errno})


def clock() -> float:
    """Seconds of a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Fence:
    """Used from two threads: proofs come from the consumer's, checks from the main one."""

    def __init__(self, session_timeout_s: float, now: Callable[[], float] = clock) -> None:
        self.session_timeout_s = session_timeout_s
        self.now = now
        self.held = False
        self._proved_at = 0.0
        self._lost: str | None = None

    def check(self) -> None:
        """Raises FenceLost unless membership was proved within the session timeout."""
        if reason := self.reason():
            raise FenceLost(reason)

    def reason(self) -> str | None:
        """Why nothing may be produced now; None when it may."""
        if self._lost is None and not self.held:
            return "no partitions are held: nothing may be produced between assignments"
        return self.expired()

    def expired(self) -> str | None:
        """Why the fence is lost for good; None when it is not."""
        if self._lost is None and self.held:
            age = self.now() - self._proved_at
            if age > self.session_timeout_s:
                self._lost = (
                    f"the last accepted heartbeat is {age:.1f} s old, the session timeout is "
                    f"{self.session_timeout_s:g} s: other workers may own our partitions"
                )
        return self._lost

    def release(self) -> None:
        """All partitions are given up: no proof is needed, nothing may be produced."""
        self.held = False

    def lose(self, reason: str) -> None:
        """Nothing may be produced any more, for good."""
        self._lost = self._lost or reason

    def observe(self, request: object, error_code: int, sent_at: float) -> None:
        """Take note of the group coordinator's answer to a request sent at `sent_at`."""
        if isinstance(request, SyncGroupRequest) and error_code == 0:
            self._proved_at = sent_at
            self.held = True
        elif isinstance(request, HeartbeatRequest) and self.held and not self.expired():
            if error_code in _ALIVE:
                self._proved_at = sent_at
            elif error_code in _FORGOTTEN:
                self._lost = "the consumer group no longer knows this worker"

    def watch(self, coordinator: Any) -> None:
        """Observe every request of an aiokafka GroupCoordinator.

        All of them go through its _send_req (aiokafka/consumer/group_coordinator.py:299, 808,
        1448), looked up on the instance at each call.
        """
        send = coordinator._send_req

        async def watched(request: Any) -> Any:
            sent_at = self.now()
            response = await send(request)
            self.observe(request, getattr(response, "error_code", 0), sent_at)
            return response

        coordinator._send_req = watched
