"""What the log of a process leaves out, and what it never does."""

import io
import logging
from collections.abc import Iterator

import pytest

from deploy.processes.logs import EXTENDED, LIBRARIES, OnceAMinute, log_to_stderr

FETCH = "Failed fetch messages from %s: %s"


class Clock:
    """Seconds that only the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def written(clock: Clock) -> Iterator[io.StringIO]:
    """What a handler with the filter writes, of all loggers."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(OnceAMinute(clock))
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def test_a_fact_of_a_library_is_written_once_a_minute_with_its_count(
    written: io.StringIO, clock: Clock
) -> None:
    log = logging.getLogger("aiokafka.consumer.fetcher")
    for second in range(61):
        clock.now = 100.0 + second
        log.error(FETCH, 1, f"error {second}")
    assert written.getvalue() == (
        "Failed fetch messages from 1: error 0\n"
        "Failed fetch messages from 1: error 60 (59 more in the last 60 s)\n"
    )


def test_facts_of_a_library_that_differ_are_all_written(written: io.StringIO) -> None:
    logging.getLogger("aiokafka").error("Unable connect to node with id %s: %s", 1, "refused")
    logging.getLogger("aiokafka.consumer.fetcher").error(FETCH, 1, "refused")
    logging.getLogger("aiokafka.cluster").error(FETCH, 1, "refused")
    assert len(written.getvalue().splitlines()) == 3


def test_our_own_lines_are_never_left_out(written: io.StringIO) -> None:
    for number in range(5):
        logging.getLogger("streams.worker").warning("settings of %r are not used", number)
    assert len(written.getvalue().splitlines()) == 5


def test_texts_made_for_one_occasion_do_not_fill_the_memory(clock: Clock) -> None:
    once = OnceAMinute(clock)
    for number in range(5000):
        clock.now += 1
        text = f"text {number}"
        once.filter(logging.LogRecord("faust", logging.ERROR, "", 0, text, (), None))
    assert len(once._passed_at) <= 1000


def test_libraries_log_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    try:
        log_to_stderr("info")
        for name in ("faust.app", "mode.timers", "aiokafka", "streams.batching.recovery"):
            logging.getLogger(name).info("of no use")
            logging.getLogger(name).warning("of use: %s", name)
        logging.getLogger("streams.batching.watchdog").info("Partitions 0 are ready")
        lines = capsys.readouterr().err.splitlines()
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
        for name in (*LIBRARIES, *(f"streams.batching.{module}" for module in EXTENDED)):
            logging.getLogger(name).setLevel(logging.NOTSET)
    assert len(lines) == 5
    assert lines[-1].endswith("Partitions 0 are ready")
