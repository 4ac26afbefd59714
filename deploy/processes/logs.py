"""The log of a process: one line an event on stderr, and one line a minute for what repeats."""

import logging
import time
from collections.abc import Callable

#: What the libraries repeat is passed on this often.
AGAIN_S = 60.0

#: Their INFO is of use to their authors: at start Faust alone has 75 lines of it.
LIBRARIES = ("aiokafka", "faust", "mode")
#: Faust's services log under the names of the modules here that extend them.
EXTENDED = ("app", "consumer", "producer", "recovery", "table", "thread")
_MOST_KNOWN = 1000


def log_to_stderr(level: str) -> None:
    """Set up logging; libraries only from warnings on, unless debugging."""
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
    """Passes the same fact of a library, or of streams.kafka, once a minute.

    A fact is the logger and the text before its values are put in: "Failed fetch messages from %s:
    %s" comes many times a second while a broker is away. The next line that passes says how many
    were left out. All other lines pass, whatever they say.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._passed_at: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record; one that passes again counts those before it."""
        if not _repeats(record.name):
            return True
        fact, now = (record.name, str(record.msg)), self._now()
        passed_at = self._passed_at.get(fact)
        if passed_at is not None and now - passed_at < AGAIN_S:
            self._left_out[fact] = self._left_out.get(fact, 0) + 1
            return False
        if left_out := self._left_out.pop(fact, 0):
            seconds = now - (passed_at or now)
            record.msg = f"{record.getMessage()} ({left_out} more in the last {seconds:.0f} s)"
            record.args = ()
        self._forget(now)
        self._passed_at[fact] = now
        return True

    def _forget(self, now: float) -> None:
        """Texts that are made for one occasion each must not fill the memory."""
        if len(self._passed_at) >= _MOST_KNOWN:
            self._passed_at = {f: at for f, at in self._passed_at.items() if now - at < AGAIN_S}
            self._left_out = {f: n for f, n in self._left_out.items() if f in self._passed_at}


def _repeats(name: str) -> bool:
    return name.startswith("streams.kafka") or name.partition(".")[0] in LIBRARIES
