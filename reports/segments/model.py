"""Definitions of segments: people of campaigns, saved segments, and combinations.

As JSON, `type` names the kind: {"type": "people", "campaigns": ["spring"], "did": "clicked",
"not": false, "links": [], "channel": null}, {"type": "saved", "name": "Buyers"},
{"type": "combined", "op": "and", "parts": [...]}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, get_args

import msgspec

from models.issues import Issue
from models.vocabulary import Channel
from reports.definition.audience import Action
from reports.query.query import InvalidQuery

MAX_PARTS: Final = 100
MAX_DEPTH: Final = 10
#: Bytes of a definition as JSON with saved segments resolved: query parameters travel in the URL.
MAX_BYTES: Final = 20_000

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class People(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="people"
):
    """People to whom the campaigns were sent, and who did something in one of them.

    not_: those who did it in none of them; of clicked, those to whom a message was delivered (as
    not_clicked). links: ids of links, of which they clicked one
    (not_clicked: none); empty: any. channel: only messages of this channel count; None: both. `did`
    has the meaning of the tabs of the report recipients.
    """

    campaigns: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=100)]
    did: Action = "sent"
    not_: bool = msgspec.field(default=False, name="not")
    links: Annotated[list[Id], msgspec.Meta(max_length=100)] = []
    channel: Channel | None = None


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="saved"):
    """The people of a saved segment, by its definition at the time of use."""

    name: Name


class Combined(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="combined"):
    """People of all parts (and), of any part (or), or of the first part only (except)."""

    op: Literal["and", "or", "except"]
    parts: Annotated[list[Node], msgspec.Meta(min_length=2, max_length=20)]


Node = People | Saved | Combined


_DECODER: Final[msgspec.json.Decoder[Node]] = msgspec.json.Decoder(Node)
_SHAPE: Final = 'write {"type": "people", "campaigns": ["spring-sale"], "did": "clicked"}'
_FIXES: Final = {
    "type": "use people, saved or combined",
    "campaigns": "give a list of 1 to 100 campaign ids",
    "did": f"use {', '.join(get_args(Action))}",
    "not": "write true or false",
    "links": "give a list of up to 100 link ids",
    "channel": f"use {', '.join(get_args(Channel))}, or leave it out",
    "name": "give the name of a saved segment, 1 to 80 characters",
    "op": "use and, or, except",
    "parts": "give a list of 2 to 20 segments",
}


def parse(text: str | bytes) -> Node:
    """A definition from JSON. Raises InvalidQuery with the field and the fix."""
    if len(text) > MAX_BYTES:
        raise _too_long(len(text))
    try:
        node = _DECODER.decode(text)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _decode_error(str(error)) from error
    checked(node)
    return node


def write(node: Node) -> str:
    """A definition as JSON."""
    return msgspec.json.encode(node).decode()


def checked(node: Node) -> Node:
    """The same definition. Raises InvalidQuery if it is too large to run."""
    depths = list(_depths(node))
    if max(depths) > MAX_DEPTH:
        raise _too_deep()
    if len(depths) > MAX_PARTS:
        raise too_many(len(depths))
    if (size := len(write(node))) > MAX_BYTES:
        raise _too_long(size)
    return node


def too_many(parts: int) -> InvalidQuery:
    """The error of a definition with too many parts."""
    return _bad("definition", f"it has {parts} parts or more", f"combine at most {MAX_PARTS}")


def _depths(node: Node, depth: int = 1) -> Iterator[int]:
    """Depths of a node and all nodes below it."""
    yield depth
    if isinstance(node, Combined):
        for part in node.parts:
            yield from _depths(part, depth + 1)


def _too_long(size: int) -> InvalidQuery:
    fix = f"write at most {MAX_BYTES}, with saved segments resolved"
    return _bad("definition", f"it has {size} bytes", fix)


def _too_deep() -> InvalidQuery:
    fix = f"nest at most {MAX_DEPTH} deep; save an inner one and name it"
    return _bad("definition", "it is nested too deep", fix)


def _decode_error(text: str) -> InvalidQuery:
    """The decoder's message: the problem, then " - at " and the field."""
    problem, _, path = text.partition(" - at ")
    where = path.strip("`").removeprefix("$").removeprefix(".")
    field = where.rpartition(".")[2].partition("[")[0]
    missing = problem.rpartition("missing required field ")[2].strip("`")
    fix = _FIXES.get(missing) or _FIXES.get(field) or _SHAPE
    return _bad(f"definition.{where}".rstrip("."), problem, fix)


def _bad(name: str, problem: str, fix: str) -> InvalidQuery:
    return InvalidQuery([Issue(name, problem, fix)])
