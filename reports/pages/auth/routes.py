"""Signing in and out."""

from __future__ import annotations

import time
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from reports.pages.auth.middleware import address_of
from reports.pages.auth.tokens import COOKIE, SESSION_S, RateLimiter, Tokens

_UNKNOWN: Final = (
    "This token is not known. Check that it is complete, or ask the operator of the pages."
)


class AuthRoutes:
    """The sign-in page, and signing out."""

    def __init__(self, tokens: Tokens, limiter: RateLimiter, templates: Jinja2Templates) -> None:
        self._tokens = tokens
        self._limiter = limiter
        self._templates = templates

    def routes(self) -> list[Route]:
        return [
            Route("/sign-in", self._form, name="sign_in"),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
        ]

    async def _form(self, request: Request) -> Response:
        return self._page(request, safe_redirect(request.query_params.get("next", "")))

    async def _sign_in(self, request: Request) -> Response:
        async with request.form(max_files=0) as form:
            token = str(form.get("token", "")).strip()
            target = safe_redirect(str(form.get("next", "")))
        if self._tokens.account(token) is None:
            return self._refused(request, target)
        response = RedirectResponse(target or "/", 303)
        set_cookie(response, request, self._tokens.cookie(token))
        return response

    def _refused(self, request: Request, target: str) -> Response:
        """The form with the error. Right tokens never wait: wrong ones lock out no one else
        at that address."""
        now, address = time.monotonic(), address_of(request)
        wait_s = self._limiter.wait_s(address, now)
        if not wait_s:
            self._limiter.add_failure(address, now)
            return self._page(request, target, _UNKNOWN, 401)
        error = f"Too many wrong tokens from this address. Try again in {int(wait_s) + 1} s."
        page = self._page(request, target, error, 429)
        page.headers["retry-after"] = str(int(wait_s) + 1)
        return page

    def _page(self, request: Request, target: str, error: str = "", status: int = 200) -> Response:
        context = {"target": target, "error": error}
        return self._templates.TemplateResponse(request, "sign_in.html", context, status)

    async def _sign_out(self, request: Request) -> Response:
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response


def set_cookie(response: Response, request: Request, session: str) -> None:
    """Set the session cookie. It is Secure when the pages are served over TLS."""
    response.set_cookie(
        COOKIE,
        session,
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def safe_redirect(path: str) -> str:
    """The path if it stays on this site, else ""."""
    stays = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if stays and path.isprintable() else ""
