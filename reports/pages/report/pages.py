"""The pages of the reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from models.issues import Issue
from reports.catalogue import BY_NAME
from reports.definition.report import Report, Section
from reports.exports import FORMATS, export, file_name
from reports.formatting import Said, link, moment, offset
from reports.pages.charts.charts import NARROW, WIDTH
from reports.pages.report.empty_state import empty_state
from reports.pages.report.forms import Form, filters_of, form_of, words_of
from reports.pages.report.loader import Loader, columns_of
from reports.pages.report.tabs import tabs_of
from reports.pages.report.view_model import Block
from reports.pages.site import Site, account_of
from reports.query.accounts import zone_of
from reports.query.database import Database
from reports.query.query import InvalidQuery, ReportQuery, parse_query
from reports.query.texts import text_of

#: Seconds until a page looks again: while messages wait for their outcome, and otherwise.
SOON_S: Final = 5
LATER_S: Final = 60
#: Reports with a page of their own shape.
_OWN: Final = frozenset({"overview", "campaign", "locations"})
_NAME: Final = """
SELECT name FROM campaigns_current
WHERE account = {account:String} AND campaign_id = {campaign:String}
"""


class Pages:
    """Every report as a page, and its export."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._reader = Loader()

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/", self._home),
            Route("/text", self._text),
            Route("/export/{report}.{form}", self._export),
            Route("/{report}", self._report),
        ]

    async def _home(self, _: Request) -> Response:
        return RedirectResponse("/overview", 303)

    def _report(self, request: Request) -> Response:
        report, database, now = _report_of(request), self._site.database(), self._site.clock()
        raw_params = words_of(request.query_params.multi_items())
        zone = zone_of(database, account_of(request))
        shown: dict[str, Any] = {"report": report, "zone": zone, "offset": offset(zone, now)}
        try:
            query = parse_query(report, account_of(request), zone, filters_of(raw_params), now)
        except InvalidQuery as bad:
            issues = _missing_nothing(report, raw_params, bad.issues)
            form = form_of(report, raw_params, issues, None)
            return self._site.page(
                request, "ask.html", 400 if issues else 200, form=form, query=None, **shown
            )
        form = form_of(report, raw_params, (), query)
        shown |= {"query": query, "form": form, "updated": moment(now, zone)[-8:]}
        shown |= self._answers(database, query, raw_params, form, now, _width(request))
        name = f"{report.name}.html" if report.name in _OWN else "report.html"
        return self._site.page(request, name, **shown)

    def _answers(
        self,
        database: Database,
        query: ReportQuery,
        raw_params: Said,
        form: Form,
        now: datetime,
        width: int,
    ) -> dict[str, Any]:
        """Everything of a page that the database says."""
        tabs = self._reader.pool.submit(tabs_of, database, query, raw_params)
        campaign = self._reader.pool.submit(_campaign, database, query)
        blocks = self._reader.blocks(database, query, raw_params, width)
        empty = all(block.empty for block in blocks)
        return {
            "blocks": {block.section.name: block for block in blocks},
            "exports": {block.section.name: _files(query, block, raw_params) for block in blocks},
            "tabs": tabs.result(),
            "campaign": campaign.result(),
            "segment": segment_link(query),
            "empty_state": empty_state(database, query, raw_params, form) if empty else None,
            "refresh_s": _refresh_s(query, blocks, now),
        }

    def _text(self, request: Request) -> Response:
        """The content of one message, as a page and as a part of one."""
        message = request.query_params.get("message_id", "")
        text = text_of(self._site.database(), account_of(request), message)
        return self._site.page(request, "text.html", 200, message=message, text=text)

    def _export(self, request: Request) -> Response:
        report, form = _report_of(request), FORMATS.get(request.path_params["form"])
        if form is None:
            raise HTTPException(404)
        raw_params = words_of(request.query_params.multi_items())
        section, columns = raw_params.pop("section", []), raw_params.pop("columns", [])
        database, account = self._site.database(), account_of(request)
        query = parse_query(
            report, account, zone_of(database, account), filters_of(raw_params), self._site.clock()
        )
        sections = _sections(report, section)
        name = file_name(form, query, sections)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        whole = request.method == "GET"
        pieces = export(form, database, sections, query, columns) if whole else iter(())
        return StreamingResponse(pieces, media_type=form.media_type, headers=headers)


def _width(request: Request) -> int:
    """Pixels of a chart: a phone says Mobi."""
    return NARROW if "Mobi" in request.headers.get("user-agent", "") else WIDTH


def _report_of(request: Request) -> Report:
    found = BY_NAME.get(request.path_params["report"])
    if found is None:
        raise HTTPException(404)
    return found


def _sections(report: Report, names: Sequence[str]) -> list[Section]:
    """Sections by name; no names: all. Raises InvalidQuery."""
    known = {one.name: one for one in report.sections}
    fix = f"use {', '.join(known)}" if len(known) > 1 else "leave it out: there is only one"
    problem = f"is no section of {report.title!r}"
    issues = [Issue("section", f"{name!r} {problem}", fix) for name in names if name not in known]
    if issues:
        raise InvalidQuery(issues)
    return [one for one in report.sections if not names or one.name in names]


def _missing_nothing(report: Report, raw_params: Said, issues: Sequence[Issue]) -> list[Issue]:
    """Without what nobody was asked for yet: a page opened from the menu is no mistake."""
    asked_for = {one.name for one in report.filters if one.required} - raw_params.keys()
    return [one for one in issues if one.where not in asked_for or raw_params.keys() - {"tab"}]


def _files(query: ReportQuery, block: Block, raw_params: Said) -> dict[str, str]:
    """Addresses of a section's files by format."""
    words: dict[str, Sequence[str]] = {**query.raw_params(), "section": [block.section.name]}
    if raw_params.get("columns"):
        words["columns"] = [one.name for one in columns_of(block.section, query, raw_params)]
    return {name: link(f"/export/{query.report.name}.{name}", words) for name in FORMATS}


def _campaign(database: Database, query: ReportQuery) -> str:
    """What people call the campaign that is asked about; empty: about none."""
    campaign = query.values.get("campaign", "")
    if not campaign:
        return ""
    found = database.rows(_NAME, {"account": query.account, "campaign": campaign}).rows
    return str(found[0][0] if found else "") or str(campaign)


def segment_link(query: ReportQuery) -> str:
    """Where to make a segment of the people of a tab; empty: it shows no such people.

    A text that is searched for is no part of it: what segments say is what people did.
    """
    if "tab" not in query.values:
        return ""
    raw_params = {name: query.values[name] for name in ("campaign", "link", "channel")}
    return link("/segments/new", raw_params, did=query.values["tab"] or "sent")


def _refresh_s(query: ReportQuery, blocks: Sequence[Block], now: datetime) -> int:
    """Seconds until the page looks again; 0: it shows what cannot change any more."""
    if any(block.pending for block in blocks):
        return SOON_S
    return LATER_S if query.period.until > now else 0
