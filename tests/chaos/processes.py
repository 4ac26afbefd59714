"""The processes under test. One that ends is started again after a second."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.embedded.brokers import free_port
from deploy.processes.child import Child
from models.settings import Settings
from tests.chaos.proxy import Proxy

RESTART_S = 1.0
POLL_S = 0.05
ASK_S = 0.2


class Launcher:
    """Starts processes from one thread that lives as long as the driver: they die with it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="launcher")

    async def __call__(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of blocking work."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def close(self) -> None:
        """What still runs dies now."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Exit:
    """A process that ended though nobody ended it. at: monotonic seconds."""

    name: str
    kind: str
    code: int
    line: str
    at: float


class Member:
    """A worker or a sink of the installation, with its pages on one port for its whole life."""

    def __init__(
        self, name: str, settings: Settings, log: Path, launcher: Launcher,
        on_exit: Callable[[Exit], None],
    ) -> None:  # fmt: skip
        """name: worker-1, sink-1 and so on."""
        self.name = name
        self.kind = name.partition("-")[0]
        self.port = free_port()
        self.log = log
        self._environ = settings.model_copy(update={f"{self.kind}_port": self.port}).environ()
        self._launcher = launcher
        self._on_exit = on_exit
        self._child: Child | None = None
        self._ending: signal.Signals | None = None
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and keep it running."""
        await self._launch()
        self._keeping = asyncio.create_task(self._keep())

    async def _launch(self) -> None:
        command = [sys.executable, "-m", "deploy.cli", self.kind]
        self._ending = None
        self._child = await self._launcher(Child, self.name, command, self._environ, self.log)

    async def _keep(self) -> None:
        while True:
            while (code := self._poll()) is None:
                await asyncio.sleep(POLL_S)
            if self._ending is None or (self._ending == signal.SIGTERM and code != 0):
                line = last_line(self.log)
                self._on_exit(Exit(self.name, self.kind, code, line, time.monotonic()))
            await asyncio.sleep(RESTART_S)
            await self._wanted.wait()
            await self._launch()

    def _poll(self) -> int | None:
        return self._child.process.poll() if self._child else -1

    @property
    def runs(self) -> bool:
        """Whether the process exists, frozen or not."""
        return self._poll() is None

    def send(self, number: signal.Signals) -> None:
        """A signal. An end after SIGKILL is ours, and one after SIGTERM when its code is 0."""
        if not self.runs or self._child is None:
            return
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._ending = number
        self._child.process.send_signal(number)

    async def gone(self, timeout_s: float) -> None:
        """Until the process that runs now has ended. Raises TimeoutError."""
        child = self._child
        async with asyncio.timeout(timeout_s):
            while child is not None and child.process.poll() is None:
                await asyncio.sleep(POLL_S)

    def thaw(self) -> None:
        """SIGCONT, which changes nothing for a process that is not frozen."""
        self.send(signal.SIGCONT)

    def hold(self) -> None:
        """Once it ends, it stays down until release()."""
        self._wanted.clear()

    def release(self) -> None:
        """It may run."""
        self._wanted.set()

    async def is_ready(self) -> bool:
        """Whether /readyz answers 200."""
        return await asyncio.to_thread(answers_200, f"http://127.0.0.1:{self.port}/readyz")

    async def end(self) -> None:
        """End it for good, at once."""
        if self._keeping:
            self._keeping.cancel()
        if self._child is not None and self.runs:
            self._child.process.kill()
            self._child.process.wait()


class Front:
    """ClickHouse's engine behind its HTTP interface, and a proxy for those who write to it."""

    def __init__(self, folder: Path, launcher: Launcher) -> None:
        self._folder = folder
        self._launcher = launcher
        self.port = free_port()
        self.proxy = Proxy(self.port)
        self._child: Child | None = None

    async def start(self) -> None:
        """Start it (again) over the same folder; returns when it answers. Raises ChildError."""
        if self._child is not None and self._child.process.poll() is None:
            return
        command = [sys.executable, "-m", "deploy.embedded.clickhouse"]
        command += ["--path", str(self._folder / "engine"), "--port", str(self.port)]
        log = self._folder / "clickhouse.log"
        child: Child = await self._launcher(Child, "clickhouse", command, {}, log)
        self._child = child
        while not await asyncio.to_thread(answers_200, f"http://127.0.0.1:{self.port}/ping"):
            child.check()
            await asyncio.sleep(ASK_S)
        await self.proxy.listen()

    def kill(self) -> None:
        """kill -9; its port refuses connections until it is started again."""
        self.proxy.refuse()
        if self._child is not None:
            self._child.process.kill()
            self._child.process.wait()

    async def heal(self) -> None:
        """It runs and behaves."""
        await self.start()
        await self.proxy.heal()

    async def close(self) -> None:
        """End it for good."""
        self.kill()
        await self.proxy.close()


def answers_200(url: str) -> bool:
    """Whether a GET is answered by 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, OSError, TimeoutError):
        return False


def last_line(log: Path) -> str:
    """The last line of a log that is not empty."""
    lines = [line.strip() for line in log.read_text(errors="replace")[-20_000:].splitlines()]
    return next((line for line in reversed(lines) if line), "")
