"""The settings of all accounts, from the topic `accounts`.

The topic is read whole at every start. All refused records found then are one log line; each one
published later is a line of its own.
"""

import logging
from collections.abc import Callable
from typing import Final

from models.accounts import Accounts, parse_account
from models.masking import mask_key, mask_text
from models.metrics import Meter
from models.refusal import Refusal

log = logging.getLogger(__name__)

#: Accounts named in the log line at the start.
NAMED: Final = 3
#: Refused keys that are kept; beyond, they are neither counted nor logged.
MAX_REFUSED: Final = 10_000
#: Bytes of a key, and characters of a refusal's detail, that are kept and logged.
KEPT_KEY: Final = 64
KEPT_DETAIL: Final = 200


class AccountSettingsReader:
    """Publishes settings into `accounts`, and reports the records that are refused.

    changed: called with each account whose settings changed
    max_bytes: largest record value that is accepted
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
        """By the first KEPT_KEY bytes of the key: a valid account is not longer."""
        self._read_whole = False

    def take(self, key: bytes, value: bytes | None) -> None:
        """Apply one record of the topic; value None is a tombstone."""
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
        """All records of the topic were applied; the first time, log what was refused."""
        if self._read_whole:
            return
        self._read_whole = True
        self._measure()
        if self._refused:
            named = list(self._refused.items())[:NAMED]
            log.warning(
                "%d accounts have settings that are refused, such as %s; their previous settings "
                "stay in force",
                len(self._refused),
                "; ".join(f"{mask_key(key)}: {mask_text(detail)}" for key, detail in named),
            )

    def _refuse(self, key: bytes, detail: str) -> None:
        key, detail = key[:KEPT_KEY], detail[:KEPT_DETAIL]
        known = self._refused.get(key)
        if known is None and len(self._refused) >= MAX_REFUSED:
            return
        self._refused[key] = detail
        if self._read_whole and known != detail:
            self._measure()
            log.warning("settings of %s are not used, %s", mask_key(key), mask_text(detail))

    def _accept(self, key: bytes) -> None:
        if self._refused.pop(key[:KEPT_KEY], None) is not None and self._read_whole:
            self._measure()

    def _measure(self) -> None:
        self._meter.set("receipts_refused_account_settings", len(self._refused))
