"""The application: routes and middleware."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from reports.pages.auth.middleware import BodyLimit, RequireAccount, SecurityHeaders
from reports.pages.auth.routes import AuthRoutes
from reports.pages.auth.tokens import RateLimiter, Tokens
from reports.pages.rendering import page_templates
from reports.pages.report.pages import Pages
from reports.pages.search import SearchPage
from reports.pages.segments import SegmentPages
from reports.pages.site import Site

STATIC: Final = Path(__file__).with_name("static")

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


def app(
    url: str, accounts: Mapping[str, str], clock: Clock = _now, *, all_texts: bool = False
) -> Starlette:
    """The pages. url: ClickHouse, as in the settings. accounts: account by token.

    all_texts: whether texts of verification messages are shown.
    """
    tokens, limiter, templates = Tokens(accounts), RateLimiter(), page_templates()
    auth, site = AuthRoutes(tokens, limiter, templates), Site(url, templates, clock, all_texts)
    routes = [
        Route("/healthz", _healthz),
        Mount("/static", StaticFiles(directory=STATIC)),
        *auth.routes(),
        *SegmentPages(site).routes(),
        *SearchPage(site).routes(),
        *Pages(site).routes(),
    ]
    middleware = [
        Middleware(SecurityHeaders),
        Middleware(BodyLimit),
        Middleware(RequireAccount, tokens=tokens, limiter=limiter),
    ]
    return Starlette(routes=routes, middleware=middleware, exception_handlers=site.failures())


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok\n")
