"""Tokens for OAUTHBEARER, from a file or a command. aiokafka requests one for each connection."""

from __future__ import annotations

import asyncio
import atexit
import base64
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

COMMAND_TIMEOUT_S: Final = 30.0

#: A token is replaced so long before it expires.
AHEAD_S: Final = 30.0

#: A token whose end cannot be read is used for so long.
UNKNOWN_LIFE_S: Final = 30.0

_TOKEN: Final = re.compile(r"[!-~]+")


class TokenUnavailable(KafkaError):  # type: ignore[misc]
    """There is no token now. Retriable: what makes tokens may be away for a moment."""

    retriable = True


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]
    """A source of tokens; threads and event loops may share it."""

    async def token(self) -> str:
        """A token. Raises TokenUnavailable, which never contains one."""
        raise NotImplementedError


class FileTokens(TokenProvider):
    """The token in a file that something else keeps up to date; read each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """Raises TokenUnavailable."""
        return await asyncio.wrap_future(_in_thread(self._read))

    def _read(self) -> str:
        setting = "RECEIPTS_KAFKA_OAUTH_TOKEN_FILE"
        try:
            return _checked(self._path.read_bytes(), f"{setting}: {self._path}")
        except OSError as error:
            reason = error.strerror or error
            raise TokenUnavailable(f"{setting}: {self._path} cannot be read: {reason}") from None


class CommandTokens(TokenProvider):
    """The token that a command prints; kept until AHEAD_S before its end.

    One run serves all who wait for a token. It is killed, with all that it started, when the last
    of them is cancelled and when the interpreter ends.

    clock: epoch seconds
    """

    def __init__(self, command: str, clock: Callable[[], float] = time.time) -> None:
        self._words = shlex.split(command)
        self._clock = clock
        self._lock = Lock()
        self._token = ""
        self._until = 0.0
        self._run: _Run | None = None

    async def token(self) -> str:
        """Raises TokenUnavailable."""
        with self._lock:
            if self._clock() < self._until:
                return self._token
            run = self._run = self._run or _Run(self._words)
            run.waiting += 1
        try:
            return self._keep(await asyncio.wrap_future(run.token))
        finally:
            with self._lock:
                self._leave(run)

    def _keep(self, token: str) -> str:
        end, now = expiry(token), self._clock()
        with self._lock:
            self._token = token
            self._until = now + UNKNOWN_LIFE_S if end is None else end - AHEAD_S
        return token

    def _leave(self, run: _Run) -> None:
        run.waiting -= 1
        ended = run.token.done()
        if self._run is run and (ended or not run.waiting):
            self._run = None
        if not (ended or run.waiting):
            run.kill()


class _Run:
    """One run of the command. waiting: how many wait for its token. Raises TokenUnavailable.

    A session of its own: a script dies together with the programs that it called.
    """

    def __init__(self, words: list[str]) -> None:
        # Its output, also that of errors, may hold secrets: it is never shown.
        self._setting = f"RECEIPTS_KAFKA_OAUTH_TOKEN_COMMAND: {words[0]}"
        self.waiting = 0
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            reason = error.strerror or error
            raise TokenUnavailable(f"{self._setting} cannot be run: {reason}") from None
        _RUNNING.add(self)
        self.token = _in_thread(self._finish)

    def kill(self) -> None:
        """Kill it, if it still runs."""
        if self._process.returncode is not None:
            return
        # None runs any more, or, as with sudo, another user's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _finish(self) -> str:
        try:
            with self._process:
                output = self._output()
        finally:
            _RUNNING.discard(self)
        if code := self._process.returncode:
            raise TokenUnavailable(f"{self._setting} ended with exit code {code}")
        return _checked(output, self._setting)

    def _output(self) -> bytes:
        try:
            return self._process.communicate(timeout=COMMAND_TIMEOUT_S)[0]
        except subprocess.TimeoutExpired:
            self.kill()
            text = f"{self._setting} did not end within {COMMAND_TIMEOUT_S:g} s"
            raise TokenUnavailable(text) from None


_RUNNING: Final[set[_Run]] = set()


@atexit.register
def kill_commands() -> None:
    """Kill the commands that still run: for a process that ends, also one that skips atexit."""
    for run in tuple(_RUNNING):
        run.kill()


def _in_thread(call: Callable[[], str]) -> Future[str]:
    """The result of a blocking call, from a daemon thread: a process that ends does not wait for
    it, as it does for the threads of asyncio.to_thread.
    """
    result: Future[str] = Future()
    result.set_running_or_notify_cancel()  # one who waits and is cancelled must not cancel it

    def work() -> None:
        try:
            result.set_result(call())
        except BaseException as error:  # noqa: BLE001  (raised where it is awaited)
            result.set_exception(error)

    Thread(target=work, name="receipts-token", daemon=True).start()
    return result


def _checked(raw: bytes, source: str) -> str:
    token = raw.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(token):
        what = "something that is not a token" if token else "nothing"
        raise TokenUnavailable(f"{source} gives {what}")
    return token


def expiry(token: str) -> float | None:
    """The end of a JWT in epoch seconds; None: it has none, or the token is not a JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    payload = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(payload))
    except ValueError:
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    return float(end) if isinstance(end, int | float) else None
