"""The pages of the reports."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from reports.accounts import zone_of
from reports.asked import Asked, BadQuestion, ask
from reports.catalogue import BY_NAME
from reports.database import Database, DatabaseError, NotMigrated, Unavailable
from reports.exports import FORMATS, exported, file_name
from reports.pages.drawing import Pictures
from reports.pages.forms import form_of, without_page, words_of
from reports.pages.navigation import menu
from reports.pages.reading import Reader
from reports.pages.rendering import Templates
from reports.pages.words import link, offset
from reports.report import Report, Section

_MOST_PAGES: Final = 40_000


class Pages:
    """Every report as a page, and its export. The account is that of the session."""

    def __init__(self, url: str, templates: Templates, clock: Callable[[], datetime]) -> None:
        self._url = url
        self._templates = templates
        self._clock = clock
        self._pictures = Pictures()
        self._lock = threading.Lock()
        self._connected: Database | None = None

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/", self._home),
            Route("/export/{report}.{form}", self._export),
            Route("/{report}", self._report),
        ]

    def failures(self) -> Mapping[Any, Any]:
        """What to show when a page cannot be shown."""
        return {
            HTTPException: self._no_page,
            DatabaseError: self._no_answer,
            BadQuestion: self._bad_question,
        }

    async def _home(self, _: Request) -> Response:
        return RedirectResponse("/overview", 303)

    def _report(self, request: Request) -> Response:
        report = _report_of(request)
        said = words_of(request.query_params.multi_items())
        now = self._clock()
        zone = zone_of(self._database(), _account(request))
        shown: dict[str, Any] = {
            "report": report,
            "zone": zone,
            "now": now,
            "offset": offset(zone, now),
        }
        try:
            asked = ask(report, _account(request), zone, without_page(said), now)
        except BadQuestion as bad:
            form = form_of(report, said, bad.wrongs, None)
            return self._page(request, "report.html", 400, form=form, asked=None, **shown)
        form = form_of(report, said, (), asked)
        reader = Reader(self._database(), self._pictures)
        blocks = reader.blocks(asked, said, _page_of(said))
        shown |= {"form": form, "asked": asked, "blocks": blocks, "exports": _exports(asked)}
        return self._page(request, _template(report), **shown)

    def _export(self, request: Request) -> Response:
        report, form = _report_of(request), FORMATS.get(request.path_params["form"])
        if form is None:
            raise HTTPException(404)
        said = words_of(request.query_params.multi_items())
        section, columns = said.pop("section", []), said.pop("columns", [])
        asked = self._asked(request, report, without_page(said))
        sections = [one for one in report.sections if not section or one.name in section]
        pieces = exported(form, self._database(), sections, asked, columns)
        name = file_name(form, asked, sections)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(pieces, media_type=form.media_type, headers=headers)

    def _asked(self, request: Request, report: Report, said: Mapping[str, Any]) -> Asked:
        account = _account(request)
        zone = zone_of(self._database(), account)
        return ask(report, account, zone, said, self._clock())

    def _page(self, request: Request, name: str, status: int = 200, **shown: Any) -> Response:
        return self._templates.page(request, name, status, menu=menu(request.url.path), **shown)

    def _database(self) -> Database:
        with self._lock:
            if self._connected is None:
                self._connected = Database(self._url)
            return self._connected

    async def _no_page(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        shown = {"title": "There is no such page", "words": "Choose a report from the menu."}
        if error.status_code != 404:
            shown = {"title": error.detail, "words": ""}
        return self._page(request, "failure.html", error.status_code, fix="", **shown)

    async def _no_answer(self, request: Request, error: Exception) -> Response:
        title, words, fix = _told(error)
        status = 503 if isinstance(error, (Unavailable, NotMigrated)) else 500
        return self._page(request, "failure.html", status, title=title, words=words, fix=fix)

    async def _bad_question(self, request: Request, error: Exception) -> Response:
        title = "This cannot be asked"
        return self._page(request, "failure.html", 400, title=title, words=str(error), fix="")


def _told(error: Exception) -> tuple[str, str, str]:
    if isinstance(error, NotMigrated):
        words = "The database has no tables or views for the reports yet."
        return "Not set up yet", words, "receipts migrate"
    if isinstance(error, Unavailable):
        words = "The database gives no answer. The page will work again as soon as it does."
        return "No database", words, ""
    return "The database refused the question", str(error), ""


def _account(request: Request) -> str:
    return str(request.scope["account"])


def _report_of(request: Request) -> Report:
    found = BY_NAME.get(request.path_params["report"])
    if found is None:
        raise HTTPException(404)
    return found


def _page_of(said: Mapping[str, list[str]]) -> int:
    word = said.get("page", ["1"])[0]
    fits = word.isascii() and word.isdigit() and len(word) < 6
    return min(max(int(word), 1), _MOST_PAGES) if fits else 1


def _exports(asked: Asked) -> dict[str, dict[str, str]]:
    """Addresses of the files of each section, by section and format."""
    return {section.name: _files(asked, section) for section in asked.report.sections}


def _files(asked: Asked, section: Section) -> dict[str, str]:
    said = {**asked.said(), "section": [section.name]}
    return {name: link(f"/export/{asked.report.name}.{name}", said) for name in FORMATS}


def _template(report: Report) -> str:
    return "report.html"
