"""What the log and the metric say of account settings that are refused."""

import json
import logging

import pytest

from models.accounts import Accounts
from streams.followers.account_settings import MAX_REFUSED, AccountSettingsReader
from tests.support.fakes import Meter

GAUGE = "receipts_refused_account_settings"


class World:
    def __init__(self) -> None:
        self.accounts = Accounts()
        self.meter = Meter()
        self.changed: list[str] = []
        self.reader = AccountSettingsReader(
            self.accounts, self.changed.append, self.meter, max_bytes=65_536
        )

    def take(self, account: str, **fields: object) -> None:
        value = json.dumps({"account": account, **fields}).encode()
        self.reader.take(account.encode(), value)

    @property
    def refused(self) -> float:
        return self.meter.value(GAUGE)


@pytest.fixture
def world(caplog: pytest.LogCaptureFixture) -> World:
    caplog.set_level(logging.INFO)
    return World()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records]


def test_all_that_is_refused_when_the_topic_is_read_whole_is_one_line(world, caplog):
    for number in range(20):
        world.take(f"a{number:02}", strike_limit=99)
    assert lines(caplog) == []
    world.reader.caught_up()
    world.reader.caught_up()
    (line,) = lines(caplog)
    assert line.startswith("20 accounts have settings that are refused, such as a00: strike_limit")
    assert world.refused == 20


def test_at_the_start_only_the_newest_record_of_an_account_counts(world, caplog):
    world.take("mended", strike_limit=99)
    world.take("mended", strike_limit=9)
    world.take("withdrawn", strike_limit=99)
    world.reader.take(b"withdrawn", None)
    world.take("broken", strike_limit=5)
    world.take("broken", strike_limit=99)
    world.take("broken", strike_limit=98)
    world.reader.caught_up()
    (line,) = lines(caplog)
    assert line.startswith("1 accounts have settings that are refused, such as broken")
    assert world.accounts.of("mended").strike_limit == 9
    assert world.accounts.of("withdrawn").strike_limit == 3
    assert world.accounts.of("broken").strike_limit == 5


def test_where_nothing_is_refused_nothing_is_logged(world, caplog):
    world.take("acme", strike_limit=5)
    world.reader.caught_up()
    assert lines(caplog) == []
    assert {name for name, _ in world.meter.sums} == {GAUGE}


def test_later_each_refused_record_is_one_line_and_a_repeated_one_none(world, caplog):
    world.reader.caught_up()
    world.take("acme", strike_limit=99)
    world.take("acme", strike_limit=99)
    world.take("acme", retry_every_s=1)
    world.take("beta", strike_limit=99)
    assert [line.split(",")[0] for line in lines(caplog)] == [
        "settings of acme are not used",
        "settings of acme are not used",
        "settings of beta are not used",
    ]
    assert world.refused == 2
    world.take("acme", strike_limit=4)
    world.reader.take(b"beta", None)
    assert world.refused == 0


def test_an_account_is_named_as_changed_only_when_its_settings_are_others(world):
    world.take("acme", strike_limit=5)
    world.take("acme", strike_limit=5)
    world.take("acme", strike_limit=99)
    world.take("acme", strike_limit=6)
    world.reader.take(b"acme", None)
    world.reader.take(b"\xff", None)
    assert world.changed == ["acme", "acme", "acme", "�"]


def test_of_a_long_key_the_beginning_is_kept_and_logged(world, caplog):
    key = b"k" * 1_000_000
    world.reader.take(key, b"{")
    world.reader.caught_up()
    world.reader.take(b"l" * 1_000_000, b"{")
    assert len(lines(caplog)) == 2
    assert all(len(line) < 500 for line in lines(caplog))
    assert sum(map(len, world.reader._refused)) == 128
    world.reader.take(key, None)
    assert world.refused == 1


def test_as_many_refused_accounts_as_anybody_likes_take_a_bounded_memory(world, caplog):
    world.reader.caught_up()
    for number in range(MAX_REFUSED + 100):
        world.reader.take(b"%d" % number, b"{")
    assert world.refused == MAX_REFUSED == len(lines(caplog))


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"\xff", b'{"account":"a/b"}', b"0" * 99_999])
def test_anything_in_the_topic_is_refused_and_raises_nothing(world, value):
    world.reader.take(b"\xff\x00", value)
    world.reader.caught_up()
    assert world.refused == 1
