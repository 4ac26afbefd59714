"""The one retry policy: exponential backoff with jitter and a cap, until a stop is requested."""

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
    retry_on: type[Exception] | Callable[[BaseException], bool],
    stop: asyncio.Event,
    on_retry: Callable[[BaseException], None],
) -> T:
    """Await `call()` until it succeeds.

    retry_on: the type of errors to retry, or a predicate on them. on_retry: called with each error
    before the next attempt. Raises the error of `call` when it is another one or `stop` is set.
    """

    async def sleep(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)

    def before_sleep(state: RetryCallState) -> None:
        assert state.outcome is not None  # tenacity sets it before it sleeps
        error = state.outcome.exception()
        assert error is not None  # only exceptions are retried
        on_retry(error)

    return await AsyncRetrying(
        sleep=sleep,
        stop=stop_when_event_set(stop),  # type: ignore[arg-type]  # tenacity only calls is_set()
        wait=wait_exponential_jitter(
            multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S, jitter=FIRST_WAIT_S
        ),
        retry=_condition(retry_on),
        before_sleep=before_sleep,
        reraise=True,
    )(_typed(call))


def _condition(retry_on: type[Exception] | Callable[[BaseException], bool]) -> retry_if_exception:
    if isinstance(retry_on, type):
        return retry_if_exception_type(retry_on)
    return retry_if_exception(retry_on)


def _typed(call: Callable[[], Awaitable[T]]) -> Callable[[], Any]:
    async def attempt() -> T:
        return await call()

    return attempt
