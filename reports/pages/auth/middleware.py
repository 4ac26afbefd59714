"""What stands before every page: sign-in, the origin of changes, and headers of protection."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reports.pages.auth.tokens import COOKIE, RateLimiter, Tokens, bearer

HEADERS: Final = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_SAFE: Final = frozenset({"GET", "HEAD"})
#: Of a form, in bytes: more than the longest segment.
MOST_BYTES: Final = 64 * 1024
_OPEN: Final = ("/sign-in", "/healthz", "/static/")


class SecurityHeaders:
    """Adds the headers to every answer; data is stored nowhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if not scope["path"].startswith("/static/"):
                    headers["cache-control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class BodyLimit:
    """Reads no more of a request than a form of ours is long, whatever it says of its length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; HTTPException 413 goes to whoever reads on."""
        length = Headers(scope=scope).get("content-length", "") if scope["type"] == "http" else ""
        if length.isdecimal() and int(length) > MOST_BYTES:
            words = f"This is longer than any form here: {MOST_BYTES} bytes.\n"
            await PlainTextResponse(words, 413, {"connection": "close"})(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > MOST_BYTES:
                raise HTTPException(413, headers={"connection": "close"})
            return message

        await self._app(scope, counted, send)


class RequireAccount:
    """Lets nobody by without an account, and no change by that another site started."""

    def __init__(self, app: ASGIApp, tokens: Tokens, guesses: RateLimiter) -> None:
        self._app = app
        self._tokens = tokens
        self._guesses = guesses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; `scope["account"]` is the account from here on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        answer = self._refusal(request)
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        token = bearer(request)
        if token is None and request.method not in _SAFE and not same_origin(request):
            return PlainTextResponse("This change was asked for by another site.\n", 403)
        if request.url.path.startswith(_OPEN):
            return None
        if token is not None:
            return self._by_token(request, token)
        account = self._tokens.account_of_cookie(request.cookies.get(COOKIE, ""))
        request.scope["account"] = account
        return None if account else _to_sign_in(request)

    def _by_token(self, request: Request, token: str) -> Response | None:
        request.scope["account"] = account = self._tokens.account(token)
        if account:
            return None
        now, address = time.monotonic(), address_of(request)
        wait_s = self._guesses.wait_s(address, now)
        if wait_s:
            return too_many(wait_s)
        self._guesses.wrong(address, now)
        words = "This token is not known. Fix: ask whoever runs the pages for one.\n"
        return PlainTextResponse(words, 401, {"www-authenticate": "Bearer"})


def same_origin(request: Request) -> bool:
    """Whether a page of ours sent it; browsers always say the origin of a POST."""
    origin = request.headers.get("origin", "")
    return urlsplit(origin).netloc == request.headers.get("host", "-")


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


def too_many(wait_s: float) -> Response:
    """The answer to somebody who guesses."""
    seconds = str(int(wait_s) + 1)
    words = f"Too many wrong tokens from here. Try again in {seconds} s.\n"
    return PlainTextResponse(words, 429, {"retry-after": seconds})


def _to_sign_in(request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method not in _SAFE or wanted == "/":
        return RedirectResponse("/sign-in", 303)
    return RedirectResponse("/sign-in?" + urlencode({"next": wanted}), 303)
