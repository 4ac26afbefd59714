"""Log lines of an outage: when it begins, once a minute while it lasts, when it is over."""

import logging
import time
from collections.abc import Callable
from typing import Final

REPEAT_S: Final = 60.0


class OutageLog:
    """Logs one kind of outage.

    waiting: line with one %s for the reason. over: line for its end. clock: seconds, monotonic
    """

    def __init__(
        self,
        log: logging.Logger,
        waiting: str,
        over: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._waiting = waiting
        self._over = over
        self._clock = clock
        self._began_at: float | None = None
        self._logged_at: float | None = None
        self._logged = False

    def lasts(self, reason: object) -> None:
        """The outage was seen; logs at most once a minute, over short outages too."""
        now = self._clock()
        if self._began_at is None:
            self._began_at = now
        if self._logged_at is None or now - self._logged_at >= REPEAT_S:
            self._logged_at = now
            self._logged = True
            self._log.warning(self._waiting, reason)

    def ended(self) -> None:
        """The outage is over; logs if the outage was logged."""
        if self._began_at is not None and self._logged:
            self._log.info("%s after %.1f s", self._over, self._clock() - self._began_at)
        self._began_at, self._logged = None, False
