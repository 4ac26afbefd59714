"""Signing in and out."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from reports.pages.auth.middleware import address_of
from reports.pages.auth.tokens import COOKIE, SESSION_S, RateLimiter, Tokens
from reports.pages.rendering import Templates

_UNKNOWN = "This token is not known. Check that it was copied whole, or ask whoever runs the pages."


class AuthRoutes:
    """The page that asks for a token, and the way out."""

    def __init__(self, tokens: Tokens, guesses: RateLimiter, templates: Templates) -> None:
        self._tokens = tokens
        self._guesses = guesses
        self._templates = templates

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/sign-in", self._ask, name="sign_in"),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
        ]

    async def _ask(self, request: Request) -> Response:
        wanted = safe_redirect(request.query_params.get("next", ""))
        return self._templates.page(request, "sign_in.html", wanted=wanted, wrong="")

    async def _sign_in(self, request: Request) -> Response:
        async with request.form(max_files=0) as form:
            token, wanted = (
                str(form.get("token", "")).strip(),
                safe_redirect(str(form.get("next", ""))),
            )
        if self._tokens.account(token) is None:
            return self._wrong(request, wanted)
        answer = RedirectResponse(wanted or "/", 303)
        set_cookie(answer, request, self._tokens.cookie(token))
        return answer

    def _wrong(self, request: Request, wanted: str) -> Response:
        """The page again. Right tokens never wait: nobody locks out others of their address."""
        now, address = time.monotonic(), address_of(request)
        wait_s = self._guesses.wait_s(address, now)
        if not wait_s:
            self._guesses.wrong(address, now)
            shown = {"wanted": wanted, "wrong": _UNKNOWN}
            return self._templates.page(request, "sign_in.html", 401, **shown)
        wrong = f"Too many wrong tokens from here. Try again in {int(wait_s) + 1} s."
        page = self._templates.page(request, "sign_in.html", 429, wanted=wanted, wrong=wrong)
        page.headers["retry-after"] = str(int(wait_s) + 1)
        return page

    async def _sign_out(self, request: Request) -> Response:
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer


def set_cookie(answer: Response, request: Request, session: str) -> None:
    """Hand the session out; only over TLS where the pages are served over TLS."""
    answer.set_cookie(
        COOKIE,
        session,
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def safe_redirect(path: str) -> str:
    """A path of ours to go on to; empty when it would lead elsewhere."""
    stays = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if stays and path.isprintable() else ""
