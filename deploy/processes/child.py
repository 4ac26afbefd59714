"""Child processes with a log file: brokers, workers and sinks of the demo and the tests."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from models.issues import PREFIX

STOP_S = 12.0
"""A worker or sink ends within 10 s of SIGTERM."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """For `preexec_fn`: Linux kills the child when the thread that forked it ends."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ChildError(RuntimeError):
    """A child process failed; the text has its exit code and the end of its log."""


class Child:
    """One process with a log file. It dies with the process that started it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        settings: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
    ) -> None:
        """settings: the only RECEIPTS_ variables it gets; it inherits the rest of the environment.

        folder: its working directory; that of this process when left out.
        """
        self.name = name
        self.log = log
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                env={**inherited, **settings},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=die_with_parent,
                start_new_session=True,  # Ctrl-C is for the parent, which then stops its children
            )

    def check(self) -> None:
        """Raises ChildError when it has ended."""
        code = self.process.poll()
        if code is not None:
            raise ChildError(f"{self.name} ended with exit code {code}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        end = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(f"  | {line}" for line in end)

    def stop(self, grace_s: float = STOP_S) -> int:
        """SIGTERM, and SIGKILL after `grace_s` seconds; the exit code (-9: killed)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL, as a crash; the exit code."""
        self.process.kill()
        return self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
