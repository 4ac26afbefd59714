"""One daemon thread for blocking calls.

The interpreter waits for asyncio's pool threads when it exits, so a call that hangs would delay the
end of a process until the timeout of the call. It does not wait for a daemon thread. A batch of the
sink that the thread was writing is not committed, and is written again.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class CallThread:
    """Runs calls one after another, in the order of `run`."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, call: Callable[[], T]) -> T:
        """Run `call` in the thread. Returns its result, raises its exception."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._jobs.put((loop, done, call))
        try:
            return await done
        finally:
            del done  # it holds the exception, whose traceback holds this frame

    def end(self) -> None:
        """End the thread after the calls that are queued."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, done, call = job
            self._hand_over(loop, done, *_outcome(call))
            del job, done, call  # they hold a batch, and the next one may be long in coming

    @staticmethod
    def _hand_over(
        loop: asyncio.AbstractEventLoop,
        done: "asyncio.Future[Any]",
        result: object,
        error: BaseException | None,
    ) -> None:
        def resolve() -> None:
            if done.cancelled():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve)


def _outcome(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Result or error of a call.

    A function of its own: the error's traceback holds the frames it passed, and with the future in
    one of them it would close a cycle around the batch.
    """
    try:
        return call(), None
    except BaseException as error:  # noqa: BLE001  (raised in `run`)
        return None, error
