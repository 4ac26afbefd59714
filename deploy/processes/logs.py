"""Logging to stderr, masked; repeated lines of libraries at most once a minute."""

import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from copy import copy
from types import TracebackType
from typing import Any, Final

from models.masking import mask_text, mask_values
from sinks.errors import BadRows

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

#: A repeated line of a library is written once in so many seconds.
AGAIN_S = 60.0

#: Their INFO lines are left out: Faust writes 75 of them at start.
LIBRARIES = ("aiokafka", "faust", "mode")
#: Services of Faust log under the names of our modules that extend them.
EXTENDED = ("app", "consumer", "producer", "recovery", "table", "thread")
_MAX_LINES = 1000
#: A place for an argument in a format string, and what a format string of its own has.
_PLACE: Final = re.compile(r"%(?:\(\w+\))?[-#0 +]*[\d.*]*[a-zA-Z]")
_WORD: Final = re.compile(r"[^\W\d_]")

#: Packages whose errors describe what is wrong, and quote no value of a record.
_WITHOUT_VALUES: Final = frozenset(
    {"aiohttp", "aiokafka", "asyncio", "deploy", "faust", "mode", "sinks", "streams", "urllib3"}
)
#: Packages whose errors may quote values among what is wrong.
_WITH_VALUES: Final = frozenset({"clickhouse_connect", "reports"})


def log_to_stderr(level: str, secrets: Collection[str] = ()) -> None:
    """Set up logging; libraries only with warnings and errors, unless the level is debug.

    secrets: words that no line shows. Errors that nobody caught are logged too.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(MaskingFormatter(FORMAT, secrets))
    handler.addFilter(OnceAMinute())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda failed: _log_uncaught(
        failed.exc_type, failed.exc_value, failed.exc_traceback
    )
    if level != "debug":
        extended = (f"streams.batching.{module}" for module in EXTENDED)
        for library in (*LIBRARIES, *extended):
            logging.getLogger(library).setLevel(logging.WARNING)


def _log_uncaught(
    _: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if error is not None:
        logging.getLogger("receipts").critical(
            "ended by an error", exc_info=(type(error), error, trace)
        )


def masked_line(text: str) -> str:
    """A line for stderr that is not logged: masked like the log, once there is one."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, MaskingFormatter):
            return handler.formatter.masked(text)
    return text


class MaskingFormatter(logging.Formatter):
    """Lines without secrets, numbers and addresses of people, or values in the text of an error.

    What an error's text may have depends on who raised it: of libraries and of our own errors it
    describes a connection, a file or a topic; of Python's ValueError and the like it quotes the
    value. Of those a log has the type and the frames.
    """

    def __init__(self, form: str, secrets: Collection[str] = ()) -> None:
        super().__init__(form)
        self._secrets = tuple(secrets)

    def masked(self, text: str) -> str:
        """A text without secrets, numbers and addresses."""
        return mask_text(text, self._secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The line, with what its arguments and its traceback may show."""
        shown = copy(record)
        if isinstance(record.args, tuple):
            shown.args = tuple(map(_without_value, record.args))
        # Another handler may have formatted the traceback: pytest's does.
        shown.exc_text = None
        return self.masked(super().format(shown))

    def formatException(self, ei: Any) -> str:  # noqa: N802  (the name is logging's)
        """The traceback; each error of the chain with its type, and its text if that has no
        value."""
        return "\n".join(_chain(ei[1])) if ei[1] is not None else ""


class _Shown:
    """An error as an argument of a line."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __str__(self) -> str:
        return _text_of(self._error) or type(self._error).__name__

    def __repr__(self) -> str:
        return f"{type(self._error).__name__}({_text_of(self._error)!r})"


def _without_value(argument: object) -> object:
    return _Shown(argument) if isinstance(argument, BaseException) else argument


def _text_of(error: BaseException) -> str:
    """The text of an error, without the values of records."""
    package = type(error).__module__.partition(".")[0]
    if isinstance(error, BadRows) or package in _WITH_VALUES:
        return mask_values(str(error))
    return str(error) if isinstance(error, OSError) or package in _WITHOUT_VALUES else ""


def _chain(error: BaseException) -> Iterator[str]:
    """Lines of the tracebacks of an error and those it follows from, the first one first."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _chain(before)
        yield "\nThen, because of it or while it was handled:\n"
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    text = _text_of(error)
    yield f"{type(error).__module__}.{type(error).__qualname__}{': ' if text else ''}{text}"


class OnceAMinute(logging.Filter):
    """Passes a repeated line of a library, or of streams.kafka, once a minute.

    Lines are the same when logger and format string are: "Failed fetch messages from %s: %s"
    comes many times a second while a broker is unavailable. A format string without a word, "%s",
    is that of any line: then the text counts. The next line that passes has the number of those
    left out. All other lines pass.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._passed_at: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record; appends the number of records left out before it."""
        if not _repeats(record.name):
            return True
        line, now = (record.name, _kind_of(record)), self._now()
        passed_at = self._passed_at.get(line)
        if passed_at is not None and now - passed_at < AGAIN_S:
            self._left_out[line] = self._left_out.get(line, 0) + 1
            return False
        if left_out := self._left_out.pop(line, 0):
            seconds = now - (passed_at or now)
            # The arguments stay: the formatter masks them.
            record.msg = f"{record.msg} ({left_out} more in the last {seconds:.0f} s)"
        self._forget(now)
        self._passed_at[line] = now
        return True

    def _forget(self, now: float) -> None:
        """Drops old lines: format strings that are used once must not fill the memory."""
        if len(self._passed_at) >= _MAX_LINES:
            self._passed_at = {key: at for key, at in self._passed_at.items() if now - at < AGAIN_S}
            self._left_out = {key: n for key, n in self._left_out.items() if key in self._passed_at}


def _kind_of(record: logging.LogRecord) -> str:
    """What lines of the same kind share: the format string, or their text if it has no word."""
    form = str(record.msg)
    return form if _WORD.search(_PLACE.sub("", form)) else record.getMessage()


def _repeats(name: str) -> bool:
    return name.startswith("streams.kafka") or name.partition(".")[0] in LIBRARIES
