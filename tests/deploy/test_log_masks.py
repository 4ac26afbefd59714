"""No line of the log has a secret, a number of a person, or a value in an error's text."""

import io
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
from aiokafka.errors import KafkaConnectionError

from deploy.processes.logs import (
    FORMAT,
    MaskingFormatter,
    OnceAMinute,
    log_to_stderr,
    masked_line,
)
from sinks.errors import BadRows, Broken

SECRET = "s3cret-of-a-url"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(MaskingFormatter(FORMAT, [SECRET]))
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


#: In a name of its own: tracebacks show lines of code.
TEXT = "Dear Anna"
LOG = logging.getLogger("receipts.test")


def test_a_line_and_its_arguments_are_masked(written: io.StringIO) -> None:
    LOG.error("%s for %s at %s", SECRET, "+447700900123", "anna@example.com")
    LOG.error("http://user:hush@host/db", extra={})
    LOG.error("%(who)s", {"who": "+447700900123"})
    text = written.getvalue()
    assert "*** for +4477******23 at ***" in text
    assert "http://user:***@host/db" in text
    assert SECRET not in text and "900123" not in text and "hush" not in text


def test_a_line_with_the_number_of_those_left_out_is_masked_too(written: io.StringIO) -> None:
    now = [100.0]
    once = OnceAMinute(lambda: now[0])
    (handler,) = (
        each
        for each in logging.getLogger().handlers
        if isinstance(each.formatter, MaskingFormatter)
    )
    handler.addFilter(once)
    for at in (100.0, 101.0, 161.0):
        now[0] = at
        logging.getLogger("aiokafka").error("failed: %s, 100%%", ValueError(TEXT))
    first, second = written.getvalue().splitlines()
    assert first.endswith("failed: ValueError, 100%")
    assert second.endswith("failed: ValueError, 100% (1 more in the last 61 s)")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("Dear Anna"), "ValueError"),
        (KeyError("447700900123"), "KeyError"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (KafkaConnectionError("no broker at kafka:9092"), "no broker at kafka:9092"),
        (BadRows("Constraint 'Dear Anna' of 447700900123"), "Constraint '***' of ***"),
        (Broken("Table `messages` is missing"), "Table `messages` is missing"),
    ],
)
def test_an_error_shows_its_text_only_if_it_quotes_no_value(
    written: io.StringIO, error: Exception, shown: str
) -> None:
    LOG.error("failed: %s, %r", error, error)
    try:
        raise RuntimeError(TEXT) from error
    except RuntimeError:
        LOG.exception("failed")
    text = written.getvalue()
    assert text.count(shown) >= 3
    assert "Dear Anna" not in text and "447700900123" not in text
    assert "builtins.RuntimeError" in text and "raise RuntimeError(TEXT)" in text
    assert "test_log_masks.py" in text


FIRST = "what came first"


def test_a_context_is_shown_unless_it_was_suppressed(written: io.StringIO) -> None:
    for suppressed in (False, True):
        try:
            try:
                raise ConnectionResetError(FIRST)
            except ConnectionResetError:
                if suppressed:
                    raise TypeError("second") from None
                raise TypeError("second")  # noqa: B904
        except TypeError:
            LOG.exception("failed")
    assert written.getvalue().count(FIRST) == 1


def test_errors_that_nobody_caught_are_logged_the_same_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    try:
        log_to_stderr("debug", [SECRET])
        error = ValueError("Dear Anna")
        sys.excepthook(ValueError, error, None)
        thread = threading.Thread(target=lambda: {}[TEXT])
        thread.start()
        thread.join()
        assert masked_line(f"{SECRET} of +447700900123") == "*** of +4477******23"
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
    text = capsys.readouterr().err
    assert "builtins.ValueError" in text and "builtins.KeyError" in text
    assert text.count("ended by an error") == 2
    assert "Dear Anna" not in text
