"""Runs all tests as three pytest processes side by side: `python -m tests.lanes [options]`.

Two lanes wait for processes, timeouts and a Kafka of their own, so together they use about one
core: "system" has the tests of the whole system, "waiting" those of its parts and those that start
a cluster for themselves. The computing lane has all others. The lanes share no fixture, and
nothing but the cores. Lines are shown as they come, with the name of their lane; what a lane
reports at its end (failures, durations) is shown whole. With paths among the options, which are
pytest's, one pytest runs just those.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Lock, Thread
from typing import Final

ROOT: Final = Path(__file__).parents[1]
#: Patterns of paths by lane; all others are computing. What shares the session's Kafka is in one of
#: these. Balanced by durations: when one lane ends minutes before the others, move a path.
WAITING: Final = (
    "tests/chaos",
    "tests/deploy",
    "tests/docs",
    "tests/models/providers",
    "tests/sinks/test_memory.py",
    "tests/sinks/test_sink*.py",
    "tests/streams/batching/test_cluster.py",
    "tests/streams/batching/test_faults.py",
    "tests/streams/batching/test_groups.py",
    "tests/streams/batching/test_restore.py",
    "tests/streams/batching/test_topics.py",
    "tests/streams/kafka",
)
SYSTEM: Final = ("tests/system",)
_COLOR: Final = re.compile(r"\x1b\[[\d;]*m")
_CLOSING: Final = re.compile(
    r"^=* ?(.*\b(?:passed|failed|error|no tests|deselected).* in [\d.]+s.*?) ?=*$"
)
_COUNT: Final = re.compile(r"(\d+) (passed|failed|skipped|xfailed|xpassed|errors?)")
READ_S: Final = 10.0
#: pytest's exit code for "no test was selected".
NOTHING: Final = 5


class Lane:
    """One pytest process. closing: the line with its counts, "" until it has ended."""

    def __init__(self, name: str, arguments: list[str], screen: Lock) -> None:
        self.name = name
        self.closing = ""
        self._screen = screen
        color = ["--color=yes"] if sys.stdout.isatty() else []
        cache = ["-o", f"cache_dir=.pytest_cache/{name}"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *cache, *color, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for us; each lane gets it once
        )
        self._report: list[str] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self._take(line)

    def _take(self, line: str) -> None:
        plain = _COLOR.sub("", line).rstrip()
        if closing := _CLOSING.match(plain):
            self.closing = closing[1]
        if self._report or (plain.startswith("===") and "session starts" not in plain):
            self._report.append(line)
        elif plain:
            self._show(f"{self.name:9} | {line}")

    def _show(self, *lines: str) -> None:
        with self._screen:
            sys.stdout.writelines(lines)
            sys.stdout.flush()

    def wait(self) -> int:
        """Its exit code."""
        return self.process.wait()

    def show_report(self) -> None:
        """Show failures, durations and the summary. Call it when the process has ended."""
        self._reader.join(READ_S)  # what a crashed pytest left running may keep the pipe open
        self._show(f"\n##### {self.name} lane\n", *self._report)


def paths_of(patterns: tuple[str, ...]) -> list[str]:
    """The paths of a lane. FileNotFoundError when a pattern finds none: moved?"""
    found: list[str] = []
    for pattern in patterns:
        paths = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern))
        if not paths:
            raise FileNotFoundError(pattern)
        found += paths
    return found


def has_paths(arguments: list[str]) -> bool:
    """Whether pytest is to run some paths only."""
    return any((ROOT / argument.split("::")[0]).exists() for argument in arguments)


def verdict(codes: list[int]) -> int:
    """The worst exit code. A lane without a selected test (-k, --lf) is none as long as the other
    has some."""
    ran = [code for code in codes if code != NOTHING]
    return max(ran, key=abs) if ran else NOTHING


def summary(closings: list[str], seconds: float) -> str:
    """The sum of pytest's closing lines, in its form."""
    counts: Counter[str] = Counter()
    for closing in closings:
        for number, outcome in _COUNT.findall(closing):
            counts[outcome.removesuffix("s")] += int(number)
    shown = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    return f"{shown or 'no tests ran'} in {seconds:.1f}s ({len(closings)} lanes)"


def wait(lanes: list[Lane]) -> list[int]:
    """Their exit codes. Ctrl-C lets pytest end what its fixtures started; a second one kills."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            return [lane.wait() for lane in lanes]
        except KeyboardInterrupt:
            for lane in lanes:
                lane.process.send_signal(number)  # nothing happens to one that has ended
    return [lane.wait() for lane in lanes]


def run(arguments: list[str]) -> int:
    """All lanes; the exit code of the worst one. Ctrl-C and SIGTERM end all."""
    began, screen = time.monotonic(), Lock()
    waiting, system = paths_of(WAITING), paths_of(SYSTEM)
    others = [f"--ignore={path}" for path in (*waiting, *system)]
    lanes = [
        Lane("system", [*arguments, *system], screen),
        Lane("waiting", [*arguments, *waiting], screen),
        Lane("computing", [*arguments, *others], screen),
    ]
    codes = wait(lanes)
    for lane in lanes:
        lane.show_report()
    print()
    for lane in lanes:
        print(f"{lane.name:9} | {lane.closing or 'ended without a closing line'}")
    print(summary([lane.closing for lane in lanes], time.monotonic() - began), flush=True)
    return verdict(codes)


def main() -> int:
    """Entry point."""
    arguments = sys.argv[1:]
    if has_paths(arguments):
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
