"""A token command that hangs: nothing waits for it, and nothing of it is left."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from streams.kafka import tokens
from streams.kafka.tokens import CommandTokens, TokenUnavailable
from tests.support.token_script import alive, command, hanging
from tests.support.waiting import eventually, until

ROOT = Path(__file__).parents[3]

#: A process that waits for the command would wait for ten minutes.
ENDS = """
import asyncio, sys, threading, time
from pathlib import Path
from streams.kafka import tokens
from tests.support.token_script import command, hanging

folder = Path(sys.argv[1])
tokens.COMMAND_TIMEOUT_S = 600
source = tokens.CommandTokens(command(folder))
threading.Thread(target=lambda: asyncio.run(source.token()), daemon=True).start()
while not hanging(folder):
    time.sleep(0.05)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a command that hangs. It would be given ten minutes."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tokens, "COMMAND_TIMEOUT_S", 600.0)
    (tmp_path / "hang").touch()
    return tmp_path


async def killed(folder: Path) -> None:
    pids = hanging(folder)
    assert len(pids) == 2
    await eventually(lambda: not any(map(alive, pids)), 30, lambda: f"{pids} are left")


async def test_whoever_is_cancelled_waits_no_longer(folder: Path) -> None:
    source = CommandTokens(command(folder))
    waiting = asyncio.create_task(source.token())
    await eventually(lambda: bool(hanging(folder)), 60)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 60)
    await killed(folder)
    (folder / "hang").unlink()
    assert await source.token()
    assert (folder / "runs").read_text() == "xx"


async def test_a_command_is_killed_with_its_programs_when_its_time_is_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = threading.Event()
    monkeypatch.setattr(tokens, "COMMAND_TIMEOUT_S", 0.5)

    class Patient(subprocess.Popen[bytes]):
        """Its time begins when the command hangs: a busy machine starts it late."""

        def communicate(self, *arguments: object, **named: object) -> tuple[bytes, bytes]:
            until(lambda: bool(hanging(folder)), "the command hangs", 60)
            began.set()
            return super().communicate(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess, "Popen", Patient)
    with pytest.raises(TokenUnavailable, match=r"did not end within 0\.5 s"):
        await CommandTokens(command(folder)).token()
    assert began.is_set()
    await killed(folder)


async def test_one_run_serves_all_loops_and_outlives_one_of_them(folder: Path) -> None:
    """As Faust's thread and ours, of which one reconnects."""
    (folder / "hang").unlink()
    # It waits for the file, so that both wait for the same run.
    script = f"while ! test -e {folder}/go; do sleep 0.1; done; "
    source = CommandTokens(f"sh -c 'echo x >> {folder}/runs; {script} echo token'")
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(source.token())))
    thread.start()
    await eventually(lambda: (folder / "runs").exists(), 60)
    mine, cancelled = (asyncio.create_task(source.token()) for _ in range(2))
    await asyncio.sleep(0)  # both begin to wait
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    (folder / "go").touch()
    assert await asyncio.wait_for(mine, 60) == "token"
    await asyncio.to_thread(thread.join, 60)
    assert found == ["token"] and (folder / "runs").read_text() == "x\n"


async def test_a_process_that_ends_does_not_wait_for_it(folder: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", ENDS, str(folder)],
        cwd=ROOT,
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    await killed(folder)


async def test_what_a_command_leaves_running_is_its_own(tmp_path: Path) -> None:
    """As a cache of logins that it starts for the next run."""
    script = f"sleep 600 >/dev/null & echo $! > {tmp_path}/pid; echo token"
    assert await CommandTokens(f"sh -c '{script}'").token() == "token"
    pid = int((tmp_path / "pid").read_text())
    try:
        assert alive(pid)
    finally:
        subprocess.run(["kill", str(pid)], check=True)
