"""Waiting for conditions: the only way in which tests wait for what others do."""

import asyncio
import time
from collections.abc import Awaitable, Callable


def until(
    true: Callable[[], bool],
    what: str,
    timeout_s: float = 30.0,
    why: Callable[[], object] = lambda: "",
) -> None:
    """Block until a condition holds.

    Raises AssertionError with `what` and `why()` after timeout_s seconds.
    """
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what} {why()}"
        time.sleep(0.1)


async def eventually(
    true: Callable[[], bool | Awaitable[bool]],
    timeout_s: float = 15.0,
    why: Callable[[], object] = lambda: "",
) -> None:
    """Wait until a condition holds. Raises AssertionError with `why()` after timeout_s seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = true()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {why()}"
        await asyncio.sleep(0.05)
