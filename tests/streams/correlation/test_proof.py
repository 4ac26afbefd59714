"""Timers of correlations on disk: proved, found wrong, and set again by changed settings."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from models.accounts import Accounts
from models.callbacks import RawCallback
from streams.batching import StoppedFolder
from streams.batching.stores.database import Database, Memory
from streams.common import context
from streams.common.proof import Findings
from streams.state_check import prove
from tests.support.correlation_world import START_MS, days, endpoints, twilio
from tests.support.worker_world import CORRELATED, Life, Log

VALUE, TIMER, NOTE = (b"\x04" + kind for kind in b"v t n".split())
SINCH = b'{"type":"recipient_delivery_report_sms","batch_id":"b","status":"Delivered","recipient":"447700900187"}'  # noqa: E501


class Installation:
    """A log, a folder, and the workers in it, one after the other. unmatched: rows, so far"""

    def __init__(self, folder: Path) -> None:
        self.log, self.folder, self.now, self.generation = Log(), folder, START_MS, 0

    def call(self, endpoint: str, body: bytes) -> None:
        raw = RawCallback(body, endpoint, received_at=self.now)
        self.log.append("callbacks", None, raw.body, self.now, raw.headers())

    @property
    def unmatched(self) -> int:
        return len(self.log.records["unmatched-receipts"])

    def live(self, unmatched_days: int = 3) -> None:
        """A worker starts, does all there is to do, and stops."""
        self.generation += 1

        async def run() -> None:
            life = Life(self.log, self.generation, self.folder, lambda: self.now, (), endpoints(),
                        retention_days=30, unmatched_days=unmatched_days)  # fmt: skip
            await life.restore(100)
            await life.open()
            for _ in range(3):
                for topic in CORRELATED:
                    await life.take(topic, 100)
                await life.commit()
            life.app.stores.close_all()

        asyncio.run(run())

    def proved(self) -> Findings:
        stopped = StoppedFolder(self.folder, "receipts")
        partition = stopped.open(0)
        found = prove(0, partition, Accounts(), lambda *_: None)
        partition.close()
        stopped.close()
        return found

    def spoil(self, changed: Callable[[Database], dict[bytes, bytes | None]]) -> None:
        database = Database(self.folder / "receipts" / "0", Memory())
        database.write(changed(database).items())
        database.close()


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    found = Installation(tmp_path)
    monkeypatch.setattr(context, "wall_ms", lambda: found.now)
    found.call("twilio", twilio("SM1"))
    found.call("sinch", SINCH)
    found.live()
    return found


def timers(database: Database) -> list[bytes]:
    return list(database.keys(TIMER, TIMER + b"\xff"))


def test_what_a_worker_left_is_exact(installation: Installation) -> None:
    found = installation.proved()
    assert found.is_exact, found
    assert (found.values, found.timers, found.unproved) == (2, 2, {})


def test_a_missing_and_a_wrong_timer_are_found(installation: Installation) -> None:
    installation.spoil(lambda database: {timers(database)[0]: None})
    found = installation.proved()
    assert found.faults == {"timer row missing": 1}
    assert "447700900187" not in str(found.examples)


def test_a_store_that_does_not_know_its_settings_is_not_judged(installation: Installation) -> None:
    installation.spoil(lambda _: {NOTE + b"rules": None})
    found = installation.proved()
    assert found.is_exact
    assert sum(found.unproved.values()) == 2


def test_changed_settings_set_timers_again(installation: Installation) -> None:
    """Neither later nor sooner than the settings have it; and it is proved by them."""
    installation.now += days(1.5)
    installation.live()
    assert installation.unmatched == 0
    installation.live(unmatched_days=1)
    assert installation.proved().is_exact
    assert installation.unmatched == 2
    installation.live(unmatched_days=5)
    assert installation.proved().is_exact
