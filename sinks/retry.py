"""The one retry policy: wait longer and longer, with jitter and a cap, until asked to stop."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, retry_if_exception_type
from tenacity.stop import stop_when_event_set
from tenacity.wait import wait_exponential_jitter

T = TypeVar("T")

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0


async def retry_until_stopped(
    call: Callable[[], Awaitable[T]],
    again: type[Exception] | Callable[[BaseException], bool],
    stop: asyncio.Event,
    tell: Callable[[BaseException], None],
) -> T:
    """Await `call()` until it succeeds. `tell` hears of every failure that will be tried again.

    again: a type of failures, or what says of one whether it is tried again. Raises what `call`
    raised when it is none of those, or when `stop` is set.
    """

    async def sleep(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)

    def before_sleep(state: RetryCallState) -> None:
        assert state.outcome is not None  # tenacity sets it before it sleeps
        error = state.outcome.exception()
        assert error is not None  # only exceptions are tried again
        tell(error)

    return await AsyncRetrying(
        sleep=sleep,
        stop=stop_when_event_set(stop),  # type: ignore[arg-type]  # it only asks is_set()
        wait=wait_exponential_jitter(
            multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S, jitter=FIRST_WAIT_S
        ),
        retry=_condition(again),
        before_sleep=before_sleep,
        reraise=True,
    )(_typed(call))


def _condition(again: type[Exception] | Callable[[BaseException], bool]) -> retry_if_exception:
    if isinstance(again, type):
        return retry_if_exception_type(again)
    return retry_if_exception(again)


def _typed(call: Callable[[], Awaitable[T]]) -> Callable[[], Any]:
    async def attempt() -> T:
        return await call()

    return attempt
