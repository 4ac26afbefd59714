"""One daemon thread for blocking calls.

The pool threads of asyncio are waited for when the interpreter ends, so an insert that hangs would
hold up SIGTERM for as long as its timeout. A daemon thread is left behind instead; what it was
writing is not committed and will be written again.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class InsertThread:
    """Runs calls one after another, in the order they were given."""

    def __init__(self, name: str = "inserts") -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, call: Callable[[], T]) -> T:
        """Run `call` in the thread; its result or exception comes back here."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._jobs.put((loop, done, call))
        try:
            return await done
        finally:
            del done  # it holds the exception, whose traceback holds this frame

    def end(self) -> None:
        """Let the thread end after the calls it was given."""
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
        def settle() -> None:
            if done.cancelled():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        if not loop.is_closed():
            loop.call_soon_threadsafe(settle)


def _outcome(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Result or error of a call. No call the error has passed may hold the future it goes to: the
    traceback would close a cycle around the batch.
    """
    try:
        return call(), None
    except BaseException as error:  # noqa: BLE001  (handed to who awaits it)
        return None, error
