"""A token command that hangs, as when a login server does not answer.

`python -m tests.support.token_script FOLDER USER` prints a token, and after FOLDER/hang was made
starts a program and waits for it. FOLDER/pids has the process id of both, FOLDER/runs a character
a run. A fresh token is needed for each connection, since it ends soon.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path


def command(folder: Path, user: str = "me") -> str:
    """The command of the setting."""
    words = [sys.executable, "-m", "tests.support.token_script", str(folder), user]
    return shlex.join(words)


def hanging(folder: Path) -> list[int]:
    """Process ids of the command that hangs and of its program; none until both run."""
    path = folder / "pids"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def main(folder: Path, user: str) -> None:
    with (folder / "runs").open("a") as runs:
        runs.write("x")
    if (folder / "hang").exists():
        program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pids = folder / f"pids-{os.getpid()}"
        pids.write_text(f"{os.getpid()} {program.pid}")
        pids.rename(folder / "pids")
        program.wait()
    from tests.support.secured_broker import token_of

    print(token_of(user, 31))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
