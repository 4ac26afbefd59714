"""The demo as a newcomer runs it: it balances, and leaves nothing behind however it ends.

The two demos that end by themselves are run as the quickstart shows them.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.demo.run import JSON_KEYS
from tests.docs.test_commands import blocks
from tests.support.waiting import until

LINK = re.compile(r"(?P<account>\S+) +(?P<address>http://\S+)/sign-in#token=(?P<token>\S+)")
#: Accounts of the simulated traffic.
ACCOUNTS = 6
ROOT = Path(__file__).parents[2]
QUICKSTART = "\n".join(blocks(ROOT / "docs/quickstart.md", "sh"))
DEMOS = re.findall(r"^\.venv/bin/receipts (demo .*)$", QUICKSTART, re.MULTILINE)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def home() -> Iterator[Path]:
    """The only temporary folder the demo can use; it must be empty when the demo has ended."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


def shown_with(option: str) -> list[str]:
    """The quickstart's demo with an option."""
    (line,) = [line for line in DEMOS if option in line]
    return str(line).split()


def start(home: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", *command],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children_of(pid: int) -> list[int]:
    """Process ids of the children, and of theirs."""
    shown = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in shown.stdout.splitlines()]
    direct = [child for child, parent in parents if parent == pid]
    return direct + [grandchild for child in direct for grandchild in children_of(child)]


def wait_for_children(demo: "subprocess.Popen[str]", count: int) -> list[int]:
    """Until broker and worker run."""
    deadline = time.monotonic() + 30
    while len(found := children_of(demo.pid)) < count:
        assert demo.poll() is None, demo.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_the_quickstart_shows_two_demos() -> None:
    assert len(DEMOS) == 2


def test_the_json_is_one_object_and_balances_whatever_the_settings_of_the_caller(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECEIPTS_BROKERS", "127.0.0.1:1")
    monkeypatch.setenv("RECEIPTS_TOPIC_PREFIX", "elsewhere.")
    demo = start(home, *shown_with("--json"))
    out, err = demo.communicate(timeout=120)
    assert demo.returncode == 0, err
    result = json.loads(out)
    assert list(result) == [*JSON_KEYS, "seconds"]
    assert result["events"] == 20_000
    assert result["messages"] > 1000
    assert result["dead_letters"] > 0
    assert [result[k] for k in ("lost", "doubled", "wrong_status", "wrong_cells")] == [0, 0, 0, 0]
    assert 0 < result["seconds"] < 90


def test_the_tables_and_the_ledger_are_shown(home: Path) -> None:
    demo = start(home, *shown_with("--no-serve"))
    out, err = demo.communicate(timeout=120)
    assert demo.returncode == 0, err
    for title in ("Totals", "By source", "By country", "By campaign", "By hour", "Ledger"):
        assert f"{title}" in out
    assert "20,000  events" in out
    assert "The ledger balances" in out


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_it_serves_the_pages_until_a_signal_ends_it(
    home: Path, signum: signal.Signals, code: int
) -> None:
    demo = start(home, "demo", "--events", "1500")
    watchdog = threading.Timer(120, demo.kill)
    watchdog.start()
    assert demo.stdout is not None
    links = {}
    for line in demo.stdout:
        if found := LINK.fullmatch(line.strip()):
            links[found["account"]] = found
            if len(links) == ACCOUNTS:
                break
    watchdog.cancel()
    assert len(links) == ACCOUNTS, demo.communicate()
    at, token = links["acme-retail"]["address"], links["acme-retail"]["token"]
    page = httpx2.get(f"{at}/overview", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert (page.status_code, "acme-retail" in page.text) == (200, True)
    assert "Traffic overview" in page.text
    demo.send_signal(signum)
    _, err = demo.communicate(timeout=15)
    assert (demo.returncode, "Traceback" in err) == (code, False), err


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_an_interrupted_demo_leaves_nothing_behind(
    home: Path, signum: signal.Signals, code: int
) -> None:
    demo = start(home, "demo", "--events", "200000")
    children = wait_for_children(demo, 2)
    time.sleep(2)
    demo.send_signal(signum)
    _, err = demo.communicate(timeout=30)
    assert (demo.returncode, alive(children)) == (code, [])
    assert "Traceback" not in err


def test_a_worker_that_dies_is_reported_with_the_end_of_its_log(home: Path) -> None:
    demo = start(home, "demo", "--events", "200000")
    broker_and_worker = wait_for_children(demo, 2)
    commands = {p: Path(f"/proc/{p}/cmdline").read_text() for p in broker_and_worker}
    (worker,) = [pid for pid, command in commands.items() if "worker" in command]
    until(lambda: any(log.stat().st_size for log in home.rglob("worker")), "it logs")
    os.kill(worker, signal.SIGKILL)
    _, err = demo.communicate(timeout=30)
    assert (demo.returncode, alive(broker_and_worker)) == (1, [])
    assert "receipts: error: worker ended with exit code -9" in err
    assert "  | " in err
    assert "Traceback" not in err
