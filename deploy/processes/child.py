"""Our own processes as children: for the demo, and for rehearsals of what the containers run."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.embedded.brokers import _die_with_parent
from models.issues import PREFIX

STOP_S = 12.0
"""A worker or sink ends within 10 s of SIGTERM."""


class ChildError(RuntimeError):
    """A child process failed; the text has its exit code and the end of its log."""


class Child:
    """One process with a log file. It dies with the process that started it."""

    def __init__(
        self, name: str, command: Sequence[str], settings: Mapping[str, str], log: Path
    ) -> None:
        """settings: the only RECEIPTS_ variables it sees; the rest of the environment is ours."""
        self.name = name
        self.log = log
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                env={**inherited, **settings},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_die_with_parent,
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
        """SIGTERM, and SIGKILL when that takes too long; the exit code (-9: killed)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
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
