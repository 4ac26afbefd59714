"""Runs a BatchApp as a process: signals, failures and deadlines end in an exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import uvloop

from streams.batching.app import BatchApp
from streams.batching.errors import with_advice
from streams.kafka.tokens import kill_commands

log = logging.getLogger(__name__)

Background = Callable[[], Awaitable[object]]

EXIT_OK = 0
EXIT_FAILED = 70
"""EX_SOFTWARE: the worker stopped by itself; nothing uncertain is committed."""

QUIESCE_S = 6.0
STOP_S = 3.0


def run_worker(app: BatchApp, background: Background | None = None) -> int:
    """Run until SIGTERM, SIGINT or a failure; returns the exit code.

    background: started first on the app's loop, also while tables are restored, and cancelled at
        the end; its failure stops the worker.

    0: stopped by a signal; everything done is committed. 70: a failure, logged when it happens and
    again as the last line; nothing is committed after it. Ends within 10 s of a signal; if Faust
    does not stop by then, the process exits with the same code. Debug logging is off for good:
    Faust and aiokafka would build log records for each message (16 % of the time).
    """
    if app._loop is not None:  # mode/services.py: read once, kept for ever
        raise RuntimeError(
            "the app was bound to an event loop before run_worker(): do not touch its producer, "
            "consumer or loop while declaring topics, tables and agents"
        )
    logging.disable(logging.DEBUG)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # the consumer's thread has one too
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(_run(app, background))


async def _run(app: BatchApp, background: Background | None) -> int:
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    app.finalize()
    running = asyncio.ensure_future(_background(app, background))
    starting = asyncio.ensure_future(app.start())
    await _until_end(app, signalled, starting)
    running.cancel()
    began = time.monotonic()
    app.stopping = True
    if app.failure is None and app.assigned_partitions:
        await app.batch_consumer.quiesce(QUIESCE_S)
    if app.failure is None:
        app.stores.close_all()
    code = EXIT_OK if app.failure is None else EXIT_FAILED
    await _stop(app, starting, code)
    _log_end(app, code, time.monotonic() - began)
    return code


def _log_end(app: BatchApp, code: int, seconds: float) -> None:
    """Log the last line; after a failure it repeats the reason, since other lines followed it."""
    if app.failure is None:
        log.info("Stopped in %.1f s with exit code %d", seconds, code)
    else:
        log.critical("Ended with exit code %d: %s", code, with_advice(app.failure))


async def _background(app: BatchApp, background: Background | None) -> None:
    if background is not None:
        try:
            await background()
        except Exception as error:  # noqa: BLE001  (whatever it is, it ends the worker)
            app.fail(error)


async def _until_end(
    app: BatchApp, signalled: asyncio.Event, starting: asyncio.Future[None]
) -> None:
    ends: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(event.wait()) for event in (signalled, app.failed)
    ]
    crashed: asyncio.Future[Any] = asyncio.ensure_future(app.wait_until_stopped())
    await asyncio.wait([*ends, starting, crashed], return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and (error := starting.exception()) is not None:
        app.fail(error)
    else:
        await asyncio.wait([*ends, crashed], return_when=asyncio.FIRST_COMPLETED)
    if crashed.done() and not signalled.is_set():
        app.fail(app.crash_reason or RuntimeError("Faust stopped by itself"))
    for future in (*ends, crashed):
        future.cancel()


async def _stop(app: BatchApp, starting: asyncio.Future[None], code: int) -> None:
    starting.cancel()
    stopping = asyncio.ensure_future(_stop_services(app))
    await asyncio.wait([stopping], timeout=STOP_S)
    if not stopping.done():
        log.warning("Faust did not stop within %g s: ending the process", STOP_S)
        _log_end(app, code, STOP_S)
        kill_commands()
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    with suppress(asyncio.CancelledError):
        if error := stopping.exception():
            log.warning("Faust stopped with %r", error)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def _stop_services(app: BatchApp) -> None:
    if app.failure is not None and app.consumer.started:
        # Leave the group at once: Faust stops the agents first, which may take long after a crash.
        await app.consumer.stop()
    await app.stop()
