"""The clock of a partition (ADR 0004)."""

from streams.common.clock import PartitionClock

WALL = 1_000_000


def clock() -> PartitionClock:
    return PartitionClock(["sends", "receipts"])


def test_the_clock_is_unknown_until_every_topic_that_lags_has_delivered():
    time = clock()
    time.advance("sends", 500, at_head=False)
    assert time.now(WALL) == 0
    time.advance("receipts", 400, at_head=False)
    assert time.now(WALL) == 400


def test_catching_up_runs_by_the_topic_that_is_furthest_behind():
    time = clock()
    time.advance("sends", 500, at_head=False)
    time.advance("receipts", 400, at_head=False)
    time.advance("receipts", 700, at_head=False)
    assert time.now(WALL) == 500


def test_a_topic_at_its_head_does_not_hold_the_clock():
    time = clock()
    time.advance("sends", 500, at_head=False)
    time.idle("receipts", at_head=True)
    assert time.now(WALL) == 500


def test_wall_time_once_all_are_at_their_head():
    time = clock()
    time.advance("sends", 500, at_head=True)
    time.idle("receipts", at_head=True)
    assert time.now(WALL) == WALL


def test_a_timestamp_from_the_future_does_not_run_ahead_of_the_wall():
    time = clock()
    time.advance("sends", WALL * 9, at_head=False)
    time.advance("receipts", WALL * 9, at_head=False)
    assert time.now(WALL) == WALL


def test_never_goes_back():
    time = clock()
    time.advance("sends", 500, at_head=True)
    time.idle("receipts", at_head=True)
    assert time.now(WALL) == WALL
    time.advance("sends", 600, at_head=False)
    assert time.now(WALL) == WALL
