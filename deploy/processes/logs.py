"""Logging to stderr; repeated lines of libraries at most once a minute."""

import logging
import time
from collections.abc import Callable

#: A repeated line of a library is written once in so many seconds.
AGAIN_S = 60.0

#: Their INFO lines are left out: Faust writes 75 of them at start.
LIBRARIES = ("aiokafka", "faust", "mode")
#: Services of Faust log under the names of our modules that extend them.
EXTENDED = ("app", "consumer", "producer", "recovery", "table", "thread")
_MAX_LINES = 1000


def log_to_stderr(level: str) -> None:
    """Set up logging; libraries only with warnings and errors, unless the level is debug."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(OnceAMinute())
    if level != "debug":
        extended = (f"streams.batching.{module}" for module in EXTENDED)
        for library in (*LIBRARIES, *extended):
            logging.getLogger(library).setLevel(logging.WARNING)


class OnceAMinute(logging.Filter):
    """Passes a repeated line of a library, or of streams.kafka, once a minute.

    Lines are the same when logger and format string are: "Failed fetch messages from %s: %s"
    comes many times a second while a broker is unavailable. The next line that passes has the
    number of those left out. All other lines pass.
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
        line, now = (record.name, str(record.msg)), self._now()
        passed_at = self._passed_at.get(line)
        if passed_at is not None and now - passed_at < AGAIN_S:
            self._left_out[line] = self._left_out.get(line, 0) + 1
            return False
        if left_out := self._left_out.pop(line, 0):
            seconds = now - (passed_at or now)
            record.msg = f"{record.getMessage()} ({left_out} more in the last {seconds:.0f} s)"
            record.args = ()
        self._forget(now)
        self._passed_at[line] = now
        return True

    def _forget(self, now: float) -> None:
        """Drops old lines: format strings that are used once must not fill the memory."""
        if len(self._passed_at) >= _MAX_LINES:
            self._passed_at = {key: at for key, at in self._passed_at.items() if now - at < AGAIN_S}
            self._left_out = {key: n for key, n in self._left_out.items() if key in self._passed_at}


def _repeats(name: str) -> bool:
    return name.startswith("streams.kafka") or name.partition(".")[0] in LIBRARIES
