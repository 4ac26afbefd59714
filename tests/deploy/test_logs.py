"""What the log of a process leaves out, and what it never does."""

import asyncio
import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.processes.logs import EXTENDED, LIBRARIES, OnceAMinute, log_to_stderr
from models.settings import Settings
from streams.kafka.security import kafka_access, watch_certificates
from tests.support.secured_broker import Certificates
from tests.support.waiting import eventually

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


async def test_each_of_two_files_of_certificates_has_its_line(
    written: io.StringIO, tmp_path: Path
) -> None:
    """Both lines have the format string "%s"."""
    end = datetime.now(UTC) + timedelta(days=3)
    soon = {"not_before": end - timedelta(days=9), "not_after": end}
    made = Certificates(tmp_path)
    cafile, _ = made.issue("authority", **soon)
    certfile, keyfile = made.issue("client", **soon)
    settings = Settings(
        kafka_security_protocol="SSL",
        kafka_ssl_cafile=str(cafile),
        kafka_ssl_certfile=str(certfile),
        kafka_ssl_keyfile=str(keyfile),
    )
    watching = asyncio.create_task(watch_certificates(kafka_access(settings), every_s=0.01))
    try:
        await eventually(lambda: written.getvalue().count("expires at") == 2, why=written.getvalue)
    finally:
        watching.cancel()
    named = [line.partition(":")[0] for line in written.getvalue().splitlines()]
    assert named == ["RECEIPTS_KAFKA_SSL_CAFILE", "RECEIPTS_KAFKA_SSL_CERTFILE"]


def test_a_line_without_words_of_its_own_is_left_out_when_its_text_repeats(
    written: io.StringIO,
) -> None:
    for text in ("one", "two", "one"):
        logging.getLogger("streams.kafka.security").warning("%s: %r", "here", text)
    assert written.getvalue().splitlines() == ["here: 'one'", "here: 'two'"]


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
