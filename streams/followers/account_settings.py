"""The settings of all accounts, as the topic `accounts` brings them.

The topic is read whole at every start. What is refused in it is one line in the log then, and one
line for each that is published later.
"""

import logging
from collections.abc import Callable
from typing import Final

from models.accounts import Accounts, parse_account
from models.metrics import Meter
from models.refusal import Refusal

log = logging.getLogger(__name__)

#: Accounts named in the line of the start.
NAMED: Final = 3
#: Refused keys that are remembered; the gauge stops there, and those beyond are not logged.
MAX_REFUSED: Final = 10_000
#: Bytes of a key, and characters of a refusal, that are kept and logged: either may be long.
KEPT_KEY: Final = 64
KEPT_DETAIL: Final = 200


class AccountSettingsReader:
    """Publishes settings into `accounts`, and says which records are refused.

    changed: called with each account whose settings are others than before
    max_bytes: of a record that is read
    """

    def __init__(
        self,
        accounts: Accounts,
        changed: Callable[[str], None],
        meter: Meter,
        max_bytes: int,
    ) -> None:
        self._accounts = accounts
        self._changed = changed
        self._meter = meter
        self._max_bytes = max_bytes
        self._refused: dict[bytes, str] = {}
        """By the beginning of the key: keys are accounts, which are shorter."""
        self._read_whole = False

    def take(self, key: bytes, value: bytes | None) -> None:
        """Follow one record of the topic; None is a tombstone."""
        if value is None:
            self._accept(key)
            account = key.decode(errors="replace")
            self._accounts.withdraw(account)
            self._changed(account)
            return
        settings = parse_account(value, self._max_bytes)
        if isinstance(settings, Refusal):
            self._refuse(key, settings.detail)
            return
        self._accept(key)
        if settings != self._accounts.publish(settings):
            self._changed(settings.account)

    def caught_up(self, _at_ms: int = 0) -> None:
        """The topic held nothing more; the first time, all that is refused is one line."""
        if self._read_whole:
            return
        self._read_whole = True
        self._measure()
        if self._refused:
            named = list(self._refused.items())[:NAMED]
            log.warning(
                "%d accounts have settings that are refused, such as %s; the settings before them "
                "stay in force",
                len(self._refused),
                "; ".join(f"{key!r}: {detail}" for key, detail in named),
            )

    def _refuse(self, key: bytes, detail: str) -> None:
        key, detail = key[:KEPT_KEY], detail[:KEPT_DETAIL]
        known = self._refused.get(key)
        if known is None and len(self._refused) >= MAX_REFUSED:
            return
        self._refused[key] = detail
        if self._read_whole and known != detail:
            self._measure()
            log.warning("settings of %r are not used, %s", key, detail)

    def _accept(self, key: bytes) -> None:
        if self._refused.pop(key[:KEPT_KEY], None) is not None and self._read_whole:
            self._measure()

    def _measure(self) -> None:
        self._meter.set("receipts_refused_account_settings", len(self._refused))
