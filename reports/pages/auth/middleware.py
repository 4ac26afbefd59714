"""Middleware of all pages: security headers, a limit of body size, authentication."""

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
#: Bytes of a request body: more than the form of the longest segment.
MAX_BODY_BYTES: Final = 64 * 1024
#: Paths that need no account.
_PUBLIC: Final = ("/sign-in", "/healthz", "/static/")


class SecurityHeaders:
    """Adds security headers to every response; caches may keep static files only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

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
    """Caps the body at MAX_BODY_BYTES, whatever Content-Length claims."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request. Reading past the limit raises HTTPException 413."""
        length = Headers(scope=scope).get("content-length", "") if scope["type"] == "http" else ""
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            text = f"The request is longer than {MAX_BODY_BYTES} bytes.\n"
            await PlainTextResponse(text, 413, {"connection": "close"})(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise HTTPException(413, headers={"connection": "close"})
            return message

        await self._app(scope, counted, send)


class RequireAccount:
    """Authenticates every request and rejects writes that another site started."""

    def __init__(self, app: ASGIApp, tokens: Tokens, limiter: RateLimiter) -> None:
        self._app = app
        self._tokens = tokens
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; sets `scope["account"]`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        token = bearer(request)
        if token is None and request.method not in _SAFE and not same_origin(request):
            return PlainTextResponse("Another site sent this request.\n", 403)
        if request.url.path.startswith(_PUBLIC):
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
        wait_s = self._limiter.wait_s(address, now)
        if wait_s:
            return _too_many_failures(wait_s)
        self._limiter.add_failure(address, now)
        text = "This token is not known. Fix: ask the operator of the pages for one.\n"
        return PlainTextResponse(text, 401, {"www-authenticate": "Bearer"})


def same_origin(request: Request) -> bool:
    """Whether one of these pages sent it. Browsers send the origin with every POST."""
    origin = request.headers.get("origin", "")
    return urlsplit(origin).netloc == request.headers.get("host", "-")


def address_of(request: Request) -> str:
    """IP address of the client; "" when unknown."""
    return request.client.host if request.client else ""


def _too_many_failures(wait_s: float) -> Response:
    seconds = str(int(wait_s) + 1)
    text = f"Too many wrong tokens from this address. Try again in {seconds} s.\n"
    return PlainTextResponse(text, 429, {"retry-after": seconds})


def _to_sign_in(request: Request) -> Response:
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method not in _SAFE or target == "/":
        return RedirectResponse("/sign-in", 303)
    return RedirectResponse("/sign-in?" + urlencode({"next": target}), 303)
