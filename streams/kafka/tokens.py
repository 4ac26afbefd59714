"""Tokens for OAUTHBEARER, from a file or a command. aiokafka requests one for each connection."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
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
        return await asyncio.to_thread(self.fetch)

    def fetch(self) -> str:
        """As token(), blocking."""
        raise NotImplementedError


class FileTokens(TokenProvider):
    """The token in a file that something else keeps up to date; read each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fetch(self) -> str:
        """Raises TokenUnavailable."""
        setting = "RECEIPTS_KAFKA_OAUTH_TOKEN_FILE"
        try:
            return _checked(self._path.read_bytes(), f"{setting}: {self._path}")
        except OSError as error:
            reason = error.strerror or error
            raise TokenUnavailable(f"{setting}: {self._path} cannot be read: {reason}") from None


class CommandTokens(TokenProvider):
    """The token that a command prints; kept until AHEAD_S before its end.

    clock: epoch seconds
    """

    def __init__(self, command: str, clock: Callable[[], float] = time.time) -> None:
        self._words = shlex.split(command)
        self._clock = clock
        self._lock = Lock()
        self._token = ""
        self._until = 0.0

    def fetch(self) -> str:
        """Raises TokenUnavailable."""
        with self._lock:
            if self._clock() >= self._until:
                self._token = self._run()
                end = expiry(self._token)
                now = self._clock()
                self._until = now + UNKNOWN_LIFE_S if end is None else end - AHEAD_S
            return self._token

    def _run(self) -> str:
        # Its output, also that of errors, may hold secrets: it is never shown.
        setting = f"RECEIPTS_KAFKA_OAUTH_TOKEN_COMMAND: {self._words[0]}"
        try:
            done = subprocess.run(
                self._words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_TIMEOUT_S,
                check=False,
            )
        except OSError as error:
            reason = error.strerror or error
            raise TokenUnavailable(f"{setting} cannot be run: {reason}") from None
        except subprocess.TimeoutExpired:
            text = f"{setting} did not end within {COMMAND_TIMEOUT_S:g} s"
            raise TokenUnavailable(text) from None
        if done.returncode != 0:
            raise TokenUnavailable(f"{setting} ended with exit code {done.returncode}")
        return _checked(done.stdout, setting)


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
