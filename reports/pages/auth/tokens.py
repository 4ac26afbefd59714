"""Who is asking: a token an account, a signed cookie after it, and no guessing.

The account of a request comes from here alone, never from its address.
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
#: Wrong tokens of one address within a minute until the next wrong ones are told to wait.
GUESSES: Final = 8
GUESS_WINDOW_S: Final = 60.0
_ADDRESSES: Final = 10_000


class Tokens:
    """The tokens of the accounts. A cookie is signed with the token it was given for: it outlives a
    restart, and ends when its token is changed."""

    def __init__(self, accounts: Mapping[str, str]) -> None:
        """accounts: account by token; an account may have several tokens."""
        self._accounts = dict(accounts)

    def account(self, token: str) -> str | None:
        """The account a token shows. Takes as long for a wrong token as for a right one."""
        given, found = _digest(token), None
        for known, account in self._accounts.items():
            if hmac.compare_digest(_digest(known), given):
                found = account
        return found

    def cookie(self, token: str) -> str:
        """A session for a token that is right."""
        return _signer(token).sign(self._accounts[token]).decode()

    def account_of_cookie(self, cookie: str) -> str | None:
        """The account of a session that stands."""
        claimed = cookie.rsplit(".", 2)[0]
        for token, account in self._accounts.items():
            if account == claimed and _stands(token, cookie):
                return account
        return None


def _stands(token: str, cookie: str) -> bool:
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
    """The token a program sends with each request."""
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


class RateLimiter:
    """Wrong tokens by address: who sends many is told to wait. Right ones are not held up."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """Seconds this address has to wait; 0: it may try. now: monotonic seconds."""
        times = self._wrong.get(address, deque())
        while times and now - times[0] > GUESS_WINDOW_S:
            times.popleft()
        return GUESS_WINDOW_S - (now - times[0]) if len(times) >= GUESSES else 0.0

    def wrong(self, address: str, now: float) -> None:
        """This address gave a wrong token."""
        times = self._wrong.setdefault(address, deque(maxlen=GUESSES))
        times.append(now)
        self._wrong.move_to_end(address)
        if len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)
