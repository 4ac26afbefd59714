"""Tokens of accounts, signed session cookies, and a limit on wrong tokens.

Only these decide the account of a request, never a parameter of its address.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Final

from itsdangerous import BadSignature, TimestampSigner
from starlette.requests import HTTPConnection

COOKIE: Final = "receipts_session"
SESSION_S: Final = 12 * 3600
#: Wrong tokens of one address within the window; further ones must wait.
MAX_FAILURES: Final = 8
FAILURE_WINDOW_S: Final = 60.0
_MAX_ADDRESSES: Final = 10_000


class Tokens:
    """The tokens of the accounts.

    A cookie is signed with its token, so it survives a restart and ends when the token changes.
    """

    def __init__(self, accounts: Mapping[str, str]) -> None:
        """accounts: account by token; an account may have several tokens."""
        self._accounts = dict(accounts)

    def account(self, token: str) -> str | None:
        """The account of a token; None: unknown. Takes equally long for right and wrong tokens."""
        given, found = _digest(token), None
        for known, account in self._accounts.items():
            if hmac.compare_digest(_digest(known), given):
                found = account
        return found

    def cookie(self, token: str) -> str:
        """A session cookie for a known token."""
        return _signer(token).sign(self._accounts[token]).decode()

    def account_of_cookie(self, cookie: str) -> str | None:
        """The account of a valid session cookie; None: not valid."""
        claimed = cookie.rsplit(".", 2)[0]
        for token, account in self._accounts.items():
            if account == claimed and _is_valid(token, cookie):
                return account
        return None


def _is_valid(token: str, cookie: str) -> bool:
    try:
        _signer(token).unsign(cookie, max_age=SESSION_S)
    except BadSignature:
        return False
    return True


def _signer(token: str) -> TimestampSigner:
    return TimestampSigner(token, salt="receipts-pages", digest_method=hashlib.sha256)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def bearer(connection: HTTPConnection) -> str | None:
    """The token of an Authorization header; None: there is none."""
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


class RateLimiter:
    """Counts wrong tokens by address. Right tokens are never delayed."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0: now. now: monotonic seconds."""
        times = self._failures.get(address, deque())
        while times and now - times[0] > FAILURE_WINDOW_S:
            times.popleft()
        return FAILURE_WINDOW_S - (now - times[0]) if len(times) >= MAX_FAILURES else 0.0

    def add_failure(self, address: str, now: float) -> None:
        """Count a wrong token. now: monotonic seconds."""
        times = self._failures.setdefault(address, deque(maxlen=MAX_FAILURES))
        times.append(now)
        self._failures.move_to_end(address)
        if len(self._failures) > _MAX_ADDRESSES:
            self._failures.popitem(last=False)
