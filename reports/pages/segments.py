"""The pages of segments: create, combine, list members, export, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, get_args

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from models.vocabulary import Channel
from reports.definition.audience import Action
from reports.exports import FORMATS, start_export
from reports.formatting import format_time, format_value, label_of
from reports.pages.links import link
from reports.pages.report.params import PAGE_ROWS, group_params, page_number
from reports.pages.site import Site, account_of
from reports.query.database import Database
from reports.query.lookups import zone_of
from reports.query.query import InvalidQuery, RawParams
from reports.segments.document import document_of_segment
from reports.segments.members import COLUMNS, count, members
from reports.segments.model import Combined, Node, People, Saved, parse
from reports.segments.saved import Segment, segments

_OPERATORS: Final = {"and": "and", "or": "or", "except": "but not"}
_WITH_SUPPRESSED: Final = "with_suppressed"
#: Segments counted at once, for all requests together.
_COUNTERS: Final = 4


class SegmentPages:
    """The saved segments of the account that is signed in."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._pool = ThreadPoolExecutor(_COUNTERS, thread_name_prefix="segment")

    def routes(self) -> list[Route]:
        return [
            Route("/segments", self._list),
            Route("/segments", self._save, methods=["POST"]),
            Route("/segments/new", self._new),
            Route("/segments/members", self._members),
            Route("/segments/delete", self._delete, methods=["POST"]),
            Route("/segments/export.{form}", self._export),
        ]

    def _list(self, request: Request) -> Response:
        return self._list_page(request, {}, ())

    def _list_page(
        self, request: Request, raw_params: RawParams, issues: Sequence[str]
    ) -> Response:
        database, account = self._site.database(), account_of(request)
        zone, found = zone_of(database, account), segments(database, account)
        known = {one.name: one.definition for one in found}
        counts = self._pool.map(
            lambda node: _counted(database, account, node, known), known.values()
        )
        rows = [
            {
                "name": one.name,
                "to": link("/segments/members", {}, name=one.name),
                "definition": describe(one.definition),
                "people": people,
                "saved": format_time(one.updated_at, zone),
            }
            for one, people in zip(found, counts, strict=True)
        ]
        status = 400 if issues else 200
        context = {
            "rows": rows,
            "raw_params": raw_params,
            "issues": issues,
            "operators": _OPERATORS,
        }
        return self._site.page(request, "segments.html", status, **context)

    def _new(self, request: Request) -> Response:
        return self._new_page(request, group_params(request.query_params.multi_items()), ())

    def _new_page(self, request: Request, raw_params: RawParams, issues: Sequence[str]) -> Response:
        """The form of a new segment, with its number of people."""
        size, problems = None, list(issues)
        if raw_params.get("campaign") and not issues:
            try:
                node = people_of(raw_params)
                size = count(self._site.database(), account_of(request), node)
            except InvalidQuery as error:
                problems = list(map(str, error.issues))
        choices = [(action, label_of(action)) for action in get_args(Action)]
        context = {"raw_params": raw_params, "issues": problems, "size": size,
                   "choices": choices, "channels": get_args(Channel)}  # fmt: skip
        status = 400 if problems else 200
        return self._site.page(request, "segment_new.html", status, **context)

    async def _save(self, request: Request) -> Response:
        async with request.form(max_files=0) as form:
            raw_params = group_params([(name, str(text)) for name, text in form.multi_items()])
        return await run_in_threadpool(self._saved, request, raw_params)

    def _saved(self, request: Request, raw_params: RawParams) -> Response:
        name = next(iter(raw_params.get("name", ())), "")
        combines = "op" in raw_params
        try:
            node = combined_of(raw_params) if combines else people_of(raw_params)
            store, now = self._site.segments(), self._site.clock()
            store.save(account_of(request), name, node, now, replace=False)
        except InvalidQuery as error:
            page = self._list_page if combines else self._new_page
            return page(request, raw_params, list(map(str, error.issues)))
        return RedirectResponse(link("/segments/members", {}, name=name), 303)

    def _members(self, request: Request) -> Response:
        database, account = self._site.database(), account_of(request)
        segment = _segment(database, account, request.query_params.get("name", ""))
        page, whole = page_number(request.query_params.get("page", "")), _with_suppressed(request)
        first, zone = (page - 1) * PAGE_ROWS, zone_of(database, account)
        found = members(
            database, account, segment.definition, PAGE_ROWS, first, with_suppressed=whole
        )
        size = count(database, account, segment.definition, with_suppressed=whole)
        total, name = size.people, {"name": [segment.name]}
        here = name | ({_WITH_SUPPRESSED: ["yes"]} if whole else {})
        other = link("/segments/members", name if whole else name | {_WITH_SUPPRESSED: ["yes"]})
        after = link("/segments/members", here, page=page + 1) if first + PAGE_ROWS < total else ""
        before = link("/segments/members", here, page=page - 1) if page > 1 else ""
        return self._site.page(
            request,
            "segment.html",
            segment=segment,
            definition=describe(segment.definition),
            saved=format_time(segment.updated_at, zone),
            columns=COLUMNS,
            rows=[[format_value(*pair, zone) for pair in zip(COLUMNS, row, strict=True)]
                  for row in found.rows],
            size=size,
            whole=whole,
            other=other,
            grid={"first": first + 1, "last": first + len(found.rows), "total": total,
                  "before": before, "after": after},
            files={form: link(f"/segments/export.{form}", here) for form in FORMATS},
        )  # fmt: skip

    async def _delete(self, request: Request) -> Response:
        async with request.form(max_files=0) as form:
            name = str(form.get("name", ""))
        await run_in_threadpool(self._deleted, account_of(request), name)
        return RedirectResponse("/segments", 303)

    def _deleted(self, account: str, name: str) -> None:
        self._site.segments().delete(account, name, self._site.clock())

    def _export(self, request: Request) -> Response:
        form = FORMATS.get(request.path_params["form"])
        if form is None:
            raise HTTPException(404)
        database, account = self._site.database(), account_of(request)
        segment = _segment(database, account, request.query_params.get("name", ""))
        whole = _with_suppressed(request)
        document = document_of_segment(database, account, segment, with_suppressed=whole)
        pieces = start_export(form, document)
        safe = "".join(one if one.isascii() and one.isalnum() else "_" for one in segment.name)
        headers = {"content-disposition": f'attachment; filename="segment-{safe}.{form.name}"'}
        return StreamingResponse(pieces, media_type=form.media_type, headers=headers)


def people_of(raw_params: RawParams) -> Node:
    """The definition of the form of a new segment. Raises InvalidQuery."""
    campaigns = [one.strip() for text in raw_params.get("campaign", ()) for one in text.split(",")]
    definition = {
        "type": "people",
        "campaigns": [one for one in campaigns if one],
        "did": next(iter(raw_params.get("did", ())), "sent"),
        "not": "not" in raw_params,
        "links": list(raw_params.get("link", ())),
        "channel": next(iter(raw_params.get("channel", ())), "") or None,
    }
    return parse(msgspec.json.encode(definition))


def combined_of(raw_params: RawParams) -> Node:
    """The definition of the form that combines two segments. Raises InvalidQuery."""
    parts = [{"type": "saved", "name": name} for name in raw_params.get("part", ())]
    definition = {"type": "combined", "op": raw_params["op"][0], "parts": parts}
    return parse(msgspec.json.encode(definition))


def describe(node: Node) -> str:
    """A definition in English."""
    match node:
        case Saved(name):
            return f"“{name}”"
        case Combined(op, parts):
            return f" {_OPERATORS[op]} ".join(_inner(part) for part in parts)
        case People():
            where = ", ".join(node.campaigns)
            channel = f" by {node.channel}" if node.channel else ""
            links = f" (links {', '.join(node.links)})" if node.links else ""
            negation = "not: " if node.not_ else ""
            return f"{negation}{label_of(node.did).lower()} in {where}{channel}{links}"


def _inner(node: Node) -> str:
    return f"({describe(node)})" if isinstance(node, Combined) else describe(node)


def _counted(database: Database, account: str, node: Node, known: Mapping[str, Node]) -> str:
    """Number of people as text, or why the segment cannot be counted."""
    try:
        return str(count(database, account, node, known))
    except InvalidQuery as error:
        return str(error.issues[0])


def _with_suppressed(request: Request) -> bool:
    return request.query_params.get(_WITH_SUPPRESSED) == "yes"


def _segment(database: Database, account: str, name: str) -> Segment:
    found: dict[str, Any] = {one.name: one for one in segments(database, account)}
    if name not in found:
        raise HTTPException(404)
    segment: Segment = found[name]
    return segment
