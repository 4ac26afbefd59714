"""What all pages share: the database, the templates, the clock, and pages of failures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from reports.pages.auth.middleware import HEADERS
from reports.query.database import Database, DatabaseError, DatabaseUnavailable, NotMigrated
from reports.query.query import InvalidQuery
from reports.segments.store import SegmentStore


class Site:
    """Shared by all pages.

    url: ClickHouse. all_texts: whether texts of verification messages are shown.
    """

    def __init__(
        self, url: str, templates: Jinja2Templates, clock: Callable[[], datetime], all_texts: bool
    ) -> None:
        self.url = url
        self.clock = clock
        self.all_texts = all_texts
        self._templates = templates
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._segments: SegmentStore | None = None

    def database(self) -> Database:
        """The database, connected at the first call. Raises DatabaseError."""
        with self._lock:
            if self._database is None:
                self._database = Database(self.url)
            return self._database

    def segments(self) -> SegmentStore:
        """The only store of the process: it saves one segment at a time. Raises DatabaseError."""
        with self._lock:
            if self._segments is None:
                self._segments = SegmentStore(self.url)
            return self._segments

    def page(self, request: Request, name: str, status: int = 200, **context: Any) -> Response:
        """A template as a page. context: the values it needs."""
        return self._templates.TemplateResponse(request, name, context, status)

    def failures(self) -> Mapping[Any, Any]:
        """Exception handlers by type."""
        return {
            HTTPException: self._http_error,
            DatabaseError: self._database_error,
            InvalidQuery: self._invalid_query,
            Exception: self._internal_error,
        }

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status, reason = error.status_code, ""
        if status == 404:
            reason = "Choose a report from the menu."
        title = "There is no such page" if status == 404 else error.detail
        return self._failure(request, status, title, reason)

    async def _database_error(self, request: Request, error: Exception) -> Response:
        if isinstance(error, NotMigrated):
            reason = "The database has no tables or views for the reports yet."
            return self._failure(request, 503, "Not set up yet", reason, "receipts migrate")
        if isinstance(error, DatabaseUnavailable):
            reason = "The database does not respond. The page works again as soon as it does."
            return self._failure(request, 503, "No database", reason)
        return self._failure(request, 500, "The database refused the query", str(error))

    async def _invalid_query(self, request: Request, error: Exception) -> Response:
        return self._failure(request, 400, "This query is not valid", str(error))

    async def _internal_error(self, request: Request, _: Exception) -> Response:
        """An error of our own, which the server logs. Starlette calls this outside of the
        middleware, so the headers are added here."""
        reason = "The error is in the log of the pages."
        page = self._failure(request, 500, "Something went wrong", reason)
        page.headers.update({**HEADERS, "cache-control": "no-store"})
        return page

    def _failure(
        self, request: Request, status: int, title: str, reason: str, command: str = ""
    ) -> Response:
        context = {"title": title, "reason": reason, "command": command}
        return self.page(request, "failure.html", status, **context)


def account_of(request: Request) -> str:
    """The account that is signed in."""
    return str(request.scope["account"])
