"""The pages of the reports, and their exports."""

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
from reports.formatting import format_time, utc_offset
from reports.pages.charts.charts import NARROW, WIDTH
from reports.pages.links import link
from reports.pages.report.empty_state import empty_state
from reports.pages.report.forms import Form, form_of
from reports.pages.report.loader import Loader
from reports.pages.report.params import PageParams, parse_export, parse_page
from reports.pages.report.tabs import tabs_of
from reports.pages.report.view_model import Block
from reports.pages.site import Site, account_of
from reports.query.database import Database
from reports.query.fetch import left_out
from reports.query.lookups import campaign_name, require_known, text_of, zone_of
from reports.query.nothing import nothing_found
from reports.query.query import InvalidQuery, ReportQuery, parse_query

#: Seconds until a page reloads: while messages are pending, and otherwise.
SOON_S: Final = 5
LATER_S: Final = 60
#: Reports with a template of their own.
_OWN_TEMPLATE: Final = frozenset({"overview", "campaign", "locations", "person"})


class Pages:
    """Every report as a page, and its exports."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._loader = Loader()

    def routes(self) -> list[Route]:
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
        params = parse_page(request.query_params.multi_items())
        zone = zone_of(database, account_of(request))
        context: dict[str, Any] = {"report": report, "zone": zone, "offset": utc_offset(zone, now)}
        try:
            query = self._query(request, report, zone, params, now)
            require_known(database, query)
        except InvalidQuery as error:
            issues = _without_missing(report, params, error.issues)
            context |= {"form": form_of(report, params, issues, None), "query": None}
            return self._site.page(request, "ask.html", 400 if issues else 200, **context)
        form = form_of(report, params, (), query)
        context |= {"query": query, "form": form, "updated": format_time(now, zone)[-8:]}
        context |= self._content(database, query, params, form, now, _width(request))
        name = f"{report.name}.html" if report.name in _OWN_TEMPLATE else "report.html"
        return self._site.page(request, name, **context)

    def _query(
        self, request: Request, report: Report, zone: str, params: PageParams, now: datetime
    ) -> ReportQuery:
        """The query of an address. Raises InvalidQuery."""
        account, all_texts = account_of(request), self._site.all_texts
        return parse_query(report, account, zone, params.filters, now, all_texts=all_texts)

    def _content(
        self,
        database: Database,
        query: ReportQuery,
        params: PageParams,
        form: Form,
        now: datetime,
        width: int,
    ) -> dict[str, Any]:
        """The parts of a page that are read from the database.

        A page shows suppressed people, marked; its files leave them out.
        """
        pool, shown = self._loader.pool, query.with_suppressed()
        tabs = pool.submit(tabs_of, database, shown, params)
        campaign = pool.submit(_campaign, database, query)
        suppressed = pool.submit(left_out, database, query)
        blocks = self._loader.blocks(database, shown, params, width)
        empty = all(block.empty for block in blocks)
        return {
            "blocks": {block.section.name: block for block in blocks},
            "exports": {block.section.name: _exports(query, block, params) for block in blocks},
            "tabs": tabs.result(),
            "campaign": campaign.result(),
            "nothing": nothing_found(query),
            "left_out": suppressed.result(),
            "whole_exports": _exports(shown, blocks[0], params),
            "segment": segment_link(query),
            "empty_state": empty_state(database, query, params, form) if empty else None,
            "refresh_s": _refresh_s(query, blocks, now),
        }

    def _text(self, request: Request) -> Response:
        """The text of one message; the script of the pages takes it from here."""
        message = request.query_params.get("message_id", "")
        database, account = self._site.database(), account_of(request)
        text = text_of(database, account, message, all_texts=self._site.all_texts)
        return self._site.page(request, "text.html", message=message, text=text)

    def _export(self, request: Request) -> Response:
        report, form = _report_of(request), FORMATS.get(request.path_params["form"])
        if form is None:
            raise HTTPException(404)
        params = parse_export(request.query_params.multi_items())
        database = self._site.database()
        zone = zone_of(database, account_of(request))
        query = self._query(request, report, zone, params, self._site.clock())
        require_known(database, query)
        sections = _sections(report, params.sections)
        name = file_name(form, query, sections)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        wanted = request.method == "GET"  # HEAD needs the headers only
        pieces = export(form, database, sections, query, params.columns) if wanted else iter(())
        return StreamingResponse(pieces, media_type=form.media_type, headers=headers)


def _width(request: Request) -> int:
    """Width of charts in pixels. User agents of phones contain "Mobi"."""
    return NARROW if "Mobi" in request.headers.get("user-agent", "") else WIDTH


def _report_of(request: Request) -> Report:
    found = BY_NAME.get(request.path_params["report"])
    if found is None:
        raise HTTPException(404)
    return found


def _sections(report: Report, names: Sequence[str]) -> list[Section]:
    """Sections by name; no names: all. Raises InvalidQuery."""
    known = {one.option: one for one in report.sections}
    fix = f"use {', '.join(known)}" if len(known) > 1 else "leave it out: there is only one"
    problem = f"is not a section of {report.title!r}"
    issues = [Issue("section", f"{name!r} {problem}", fix) for name in names if name not in known]
    if issues:
        raise InvalidQuery(issues)
    return [one for one in report.sections if not names or one.option in names]


def _without_missing(report: Report, params: PageParams, issues: Sequence[Issue]) -> list[Issue]:
    """On a page opened from the menu, a missing required filter is not an issue yet."""
    if not params.is_blank:
        return list(issues)
    missing = {one.name for one in report.filters if one.required} - params.filters.keys()
    return [one for one in issues if one.where not in missing]


def _exports(query: ReportQuery, block: Block, params: PageParams) -> dict[str, str]:
    """Addresses of a section's exports by format."""
    export_params: dict[str, Sequence[str]] = {
        **query.raw_params(),
        "section": [block.section.option],
    }
    if params.columns:
        export_params["columns"] = [
            one.name for one in query.columns(block.section, params.columns)
        ]
    return {name: link(f"/export/{query.report.name}.{name}", export_params) for name in FORMATS}


def _campaign(database: Database, query: ReportQuery) -> str:
    """Name of the campaign of a query; "" when it is not about one."""
    campaign = query.values.get("campaign", "")
    return campaign_name(database, query.account, campaign) if campaign else ""


def segment_link(query: ReportQuery) -> str:
    """Address to make a segment of the people of a tab; "" for reports without tabs.

    A segment holds no text search: it is defined by what people did.
    """
    if "tab" not in query.values:
        return ""
    params = {name: query.values[name] for name in ("campaign", "link", "channel")}
    return link("/segments/new", params, did=query.values["tab"] or "sent")


def _refresh_s(query: ReportQuery, blocks: Sequence[Block], now: datetime) -> int:
    """Seconds until the page reloads; 0: its figures cannot change any more."""
    if any(block.pending for block in blocks):
        return SOON_S
    return LATER_S if query.period.until > now else 0
