"""The search field of all pages: it leads from a number, an address or an id to its page."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from models.numbers import is_person, read_number
from reports.catalogue.message import ID
from reports.pages.links import link
from reports.pages.site import Site, account_of
from reports.query.database import Database
from reports.query.lookups import is_known

_EXTERNAL_ID: Final = (
    "SELECT 1 FROM messages FINAL"
    " WHERE account = {account:String} AND external_id = {external_id:String} LIMIT 1"
)
_FIX: Final = (
    "Give a number with its country code, such as +358401234567, an e-mail address, an external id"
    " or a message id. Ids must be exact."
)


class SearchPage:
    """Finds the person or the message that a text names."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        return [Route("/search", self._search)]

    def _search(self, request: Request) -> Response:
        text = request.query_params.get("q", "").strip()
        if text and (found := address_of(self._site.database(), account_of(request), text)):
            return RedirectResponse(found, 303)
        title = f"Nothing is known by {text}" if text else "There is nothing to search for"
        context = {"title": title, "reason": _FIX, "command": ""}
        return self._site.page(request, "failure.html", 404 if text else 400, **context)


def address_of(database: Database, account: str, text: str) -> str:
    """Address of the page of a message or a person; "" when nothing is known by this text.

    Numbers and e-mail addresses need not be known: the page of a person looks for them. Raises
    DatabaseError.
    """
    if is_known(database, ID.known, account, message_id=text):
        return link("/message", {}, message_id=text)
    is_plain = not ("@" in text or text.startswith("+"))
    if is_plain and is_known(database, _EXTERNAL_ID, account, external_id=text):
        return link("/person", {}, person=text, identifier="external_id")
    person = read_number(text) or (text if is_person(text) or "@" in text else "")
    return link("/person", {}, person=person) if person else ""
