"""How long records wait, and the greatest of what was measured lately."""

import time

import pytest

from streams.kafka.measures import WINDOW_S, OldestWaiting, RecentMaximum, ahead_s

NOW = 1_000_000.0


class Clock:
    """Seconds that only the test moves."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiting(clock: Clock) -> OldestWaiting:
    return OldestWaiting(clock)


def ms(second: float) -> int:
    return int(second * 1000)


def test_nothing_waits(waiting: OldestWaiting) -> None:
    assert waiting.look("p", 0, 7, None, ms(NOW - 9)) is None


def test_a_fetched_record_waits_since_its_timestamp(waiting: OldestWaiting, clock: Clock) -> None:
    assert waiting.look("p", 3, 7, ms(NOW - 50), -1) == NOW - 50
    clock.now += 100  # stuck: the same record
    assert waiting.look("p", 9, 7, ms(NOW - 50), -1) == NOW - 50
    assert waiting.look("p", 8, 8, ms(NOW + 90), -1) == NOW + 90, "the next one"


def test_a_record_that_is_not_fetched_waits_since_it_is_known(
    waiting: OldestWaiting, clock: Clock
) -> None:
    """An idle topic: the last record was done long ago, and the new one is not old."""
    assert waiting.look("p", 1, 7, None, ms(NOW - 9999)) == NOW
    clock.now += 100
    assert waiting.look("p", 1, 7, None, ms(NOW - 9999)) == NOW, "and it grows older"
    assert waiting.look("p", 1, 7, ms(NOW - 5), -1) == NOW - 5, "fetched: it was older"


def test_a_backlog_stays_old_between_two_fetches(waiting: OldestWaiting, clock: Clock) -> None:
    """Else a look that finds nothing fetched would show a young lag, and end an alert."""
    assert waiting.look("p", 900, 100, ms(NOW - 5000), -1) == NOW - 5000
    assert waiting.look("p", 800, 200, None, ms(NOW - 4000)) == NOW - 4000
    assert waiting.look("p", 0, 1000, None, ms(NOW)) is None
    clock.now += 60
    assert waiting.look("p", 1, 1000, None, ms(NOW)) == clock.now, "worked off: a new one is new"


@pytest.mark.parametrize("timestamp_ms", [ms(NOW + 3600), -1], ids=["of the future", "without one"])
def test_a_timestamp_does_not_hide_that_a_record_waits(
    waiting: OldestWaiting, clock: Clock, timestamp_ms: int
) -> None:
    assert waiting.look("p", 2, 7, timestamp_ms, -1) == NOW
    clock.now += 100
    assert waiting.look("p", 2, 7, timestamp_ms, -1) == NOW
    assert waiting.look("p", 1, 8, timestamp_ms, timestamp_ms) == clock.now, "the next one"
    assert waiting.look("p", 1, 9, None, timestamp_ms) == clock.now


def test_partitions_are_apart_and_forgotten_together(waiting: OldestWaiting, clock: Clock) -> None:
    waiting.look("a", 1, 0, None, -1)
    clock.now += 10
    assert waiting.look("b", 1, 0, None, -1) == NOW + 10
    waiting.forget()
    clock.now += 10
    assert waiting.look("a", 1, 0, None, -1) == NOW + 20


def test_a_maximum_is_shown_for_a_while_and_not_for_ever(clock: Clock) -> None:
    recent = RecentMaximum(clock)
    assert recent.value() == 0
    recent.note(3.0)
    recent.note(-5.0)
    recent.note(1.0)
    for _ in range(int(WINDOW_S)):
        assert recent.value() == 3.0
        clock.now += 1
    clock.now += 1
    assert recent.value() == 3.0
    recent.note(2.0)
    clock.now += WINDOW_S + 1
    assert recent.value() == 2.0
    clock.now += WINDOW_S + 1
    assert recent.value() == 0


def test_a_timestamp_is_compared_with_this_clock() -> None:
    assert 59 < ahead_s(ms(time.time() + 60)) <= 60
    assert ahead_s(ms(time.time() - 60)) <= -60
