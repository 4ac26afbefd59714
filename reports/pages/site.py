"""What every page needs: the database, the templates, the clock, and how failures look."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from reports.pages.auth.middleware import HEADERS
from reports.pages.navigation import menu
from reports.pages.rendering import Templates
from reports.query.database import Database, DatabaseError, NotMigrated, Unavailable
from reports.query.query import InvalidQuery
from reports.segments.store import SegmentStore


class Site:
    """Shared by all pages. url: ClickHouse."""

    def __init__(self, url: str, templates: Templates, clock: Callable[[], datetime]) -> None:
        self.url = url
        self.clock = clock
        self._templates = templates
        self._lock = threading.Lock()
        self._connected: Database | None = None
        self._segments: SegmentStore | None = None

    def database(self) -> Database:
        """The database; connected when it is first needed. Raises Unavailable."""
        with self._lock:
            if self._connected is None:
                self._connected = Database(self.url)
            return self._connected

    def segments(self) -> SegmentStore:
        """Where segments are saved: one for all, so that they are saved one at a time."""
        with self._lock:
            if self._segments is None:
                self._segments = SegmentStore(self.url)
            return self._segments

    def page(self, request: Request, name: str, status: int = 200, **shown: Any) -> Response:
        """A page with the menu."""
        return self._templates.page(request, name, status, menu=menu(request.url.path), **shown)

    def failures(self) -> Mapping[Any, Any]:
        """What to show when a page cannot be shown."""
        return {
            HTTPException: self._no_page,
            DatabaseError: self._no_answer,
            InvalidQuery: self._bad_question,
            Exception: self._bug,
        }

    async def _no_page(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        shown = {"title": error.detail, "words": "", "fix": ""}
        if error.status_code == 404:
            words = "Choose a report from the menu."
            shown = {"title": "There is no such page", "words": words, "fix": ""}
        return self.page(request, "failure.html", error.status_code, **shown)

    async def _no_answer(self, request: Request, error: Exception) -> Response:
        title, words, fix = _told(error)
        status = 503 if isinstance(error, (Unavailable, NotMigrated)) else 500
        return self.page(request, "failure.html", status, title=title, words=words, fix=fix)

    async def _bad_question(self, request: Request, error: Exception) -> Response:
        title = "This cannot be asked"
        return self.page(request, "failure.html", 400, title=title, words=str(error), fix="")

    async def _bug(self, request: Request, _: Exception) -> Response:
        """Our own mistake; it is logged. Answered outside of what adds the headers."""
        title, words = "Something went wrong", "It is written in the log of the pages."
        answer = self.page(request, "failure.html", 500, title=title, words=words, fix="")
        answer.headers.update({**HEADERS, "cache-control": "no-store"})
        return answer


def _told(error: Exception) -> tuple[str, str, str]:
    if isinstance(error, NotMigrated):
        words = "The database has no tables or views for the reports yet."
        return "Not set up yet", words, "receipts migrate"
    if isinstance(error, Unavailable):
        words = "The database gives no answer. The page will work again as soon as it does."
        return "No database", words, ""
    return "The database refused the question", str(error), ""


def account_of(request: Request) -> str:
    """The account of the session."""
    return str(request.scope["account"])
