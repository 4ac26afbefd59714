"""Processes under measurement: started, sampled from outside, ended for sure."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.processes.child import die_with_parent
from tests.bench.cluster import BenchError

SAMPLE_S = 0.05
STOP_S = 12.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).parents[2]


class Usage(NamedTuple):
    """A moment of a process: epoch ms, CPU seconds of all its threads."""

    at_ms: float
    cpu_s: float


def cpu_s(pid: int) -> float:
    """User and system CPU seconds of a process with all its threads, to 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def resident_bytes(pid: int, field: str = "VmRSS") -> int:
    """Memory of a process in RAM now; VmHWM: the most so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"no {field} of process {pid}")


class Child:
    """One Python process. Its CPU time is sampled twenty times a second while it runs."""

    def __init__(self, name: str, arguments: list[str], environ: Mapping[str, str]) -> None:
        self.name = name
        self._log = tempfile.NamedTemporaryFile(prefix=f"bench-{name}-", suffix=".log")  # noqa: SIM115
        plain = {k: v for k, v in os.environ.items() if not k.startswith("RECEIPTS_")}
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**plain, "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        self.samples: list[Usage] = []

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Raises BenchError with the end of its log when it has ended."""
        if self._process.poll() is not None:
            raise BenchError(f"{self.name} exited with {self._process.returncode}: {self.tail()}")

    def log(self) -> str:
        """What it has written."""
        return Path(self._log.name).read_text(errors="replace")

    def tail(self, size: int = 3000) -> str:
        """The end of what it has written."""
        return self.log()[-size:].strip()

    def sample(self) -> None:
        """Note its CPU time now."""
        if self._process.poll() is None:
            self.samples.append(Usage(time.time() * 1000, cpu_s(self.pid)))

    def cpu_at(self, at_ms: float) -> float:
        """CPU seconds it had used at a moment, between the samples around it."""
        before = [s for s in self.samples if s.at_ms <= at_ms] or self.samples[:1]
        after = [s for s in self.samples if s.at_ms > at_ms] or self.samples[-1:]
        low, high = before[-1], after[0]
        if high.at_ms <= low.at_ms:
            return low.cpu_s
        share = (at_ms - low.at_ms) / (high.at_ms - low.at_ms)
        return low.cpu_s + share * (high.cpu_s - low.cpu_s)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    async def end(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_S
            while self._process.poll() is None and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._log.close()


async def _sample(child: Child) -> None:
    while True:
        child.sample()
        await asyncio.sleep(SAMPLE_S)


@asynccontextmanager
async def running(
    name: str, arguments: list[str], environ: Mapping[str, str]
) -> AsyncIterator[Child]:
    """A process that runs, and is sampled, until the block ends."""
    child = Child(name, arguments, environ)
    sampling = asyncio.create_task(_sample(child))
    try:
        yield child
    finally:
        sampling.cancel()
        await child.end()
