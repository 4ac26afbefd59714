"""Contexts that follow their files: a certificate is renewed without a restart."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import Any, Self

from streams.tls.certificates import (
    CertificatePair,
    Certificates,
    ClientFiles,
    UnusableFiles,
    server_context,
)

log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int] | None, ...]


class ReloadingContext(ssl.SSLContext):
    """A context of which each new connection uses the files as they are then.

    load: makes a context of the files; raises UnusableFiles, which the first call passes on.
    parts: what it loads

    Files that cannot be used leave those before in use, with an error in the log. While one file of
    a pair is new and the other is not, they do not match. Threads may share it.
    """

    def __new__(cls, load: Callable[[], ssl.SSLContext], parts: Iterable[Certificates]) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)  # nothing reads it: see wrap_bio

    def __init__(self, load: Callable[[], ssl.SSLContext], parts: Iterable[Certificates]) -> None:
        self.parts = tuple(parts)
        self._load = load
        self._lock = Lock()
        self._seen = _stamp(self.parts)  # before they are read: a change meanwhile is seen later
        self._current = load()

    def refresh(self) -> ssl.SSLContext:
        """The certificates to use now; loads and logs what changed. A change is tried once."""
        with self._lock:
            seen = _stamp(self.parts)
            if seen != self._seen:
                self._seen = seen
                self._reload()
            return self._current

    def _reload(self) -> None:
        try:
            self._current = self._load()
        except UnusableFiles as error:
            log.error("changed certificates are not used, those before stay in use: %s", error)
        else:
            names = ", ".join(file.path for part in self.parts for file in part.files)
            log.info("certificates changed, new connections use the new ones: %s", names)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As any context's, with the newest certificates: asyncio and uvloop call it."""
        return self.refresh().wrap_bio(*args, **kwargs)


def for_client(files: ClientFiles) -> ReloadingContext:
    """Raises UnusableFiles."""
    return ReloadingContext(files.context, files.parts)


def for_server(pair: CertificatePair) -> ReloadingContext:
    """Raises UnusableFiles."""
    return ReloadingContext(lambda: server_context(pair), [pair])


def _stamp(parts: Iterable[Certificates]) -> _Stamp:
    """Changes when a file is replaced or written to, or a symbolic link gets another target."""
    return tuple(_stat(file.path) for part in parts for file in part.files)


def _stat(path: str) -> tuple[int, int, int] | None:
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
