"""What a segment is: people of campaigns, saved segments, and what is combined of them.

As JSON, `type` says which: {"type": "people", "campaigns": ["spring"], "did": "clicked",
"not": false, "links": [], "channel": null}, {"type": "saved", "name": "Buyers"},
{"type": "combined", "op": "and", "parts": [...]}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, NamedTuple, get_args

import msgspec

from models.issues import Issue
from models.vocabulary import Channel
from reports.definition.audience import Action
from reports.query.query import InvalidQuery

MOST_PARTS: Final = 100
MOST_DEPTH: Final = 10
#: Of a definition as JSON, saved parts written out: parameters of queries travel in the URL.
MOST_BYTES: Final = 20_000

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class People(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="people"
):
    """People with a number that the campaigns were sent to, who did something in one of them.

    not_: those who did it in none of them. links: who clicked one of these (not_clicked: none of
    them); empty: any. channel: by messages of it alone; None: both. The tabs of the report
    recipients mean the same by the same words.
    """

    campaigns: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=100)]
    did: Action = "sent"
    not_: bool = msgspec.field(default=False, name="not")
    links: Annotated[list[Id], msgspec.Meta(max_length=100)] = []
    channel: Channel | None = None


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="saved"):
    """The people of a saved segment, as it is saved when it is asked."""

    name: Name


class Combined(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="combined"):
    """People of all parts (and), of any part (or), of the first and no other (except)."""

    op: Literal["and", "or", "except"]
    parts: Annotated[list[Node], msgspec.Meta(min_length=2, max_length=20)]


Node = People | Saved | Combined


class Place(NamedTuple):
    """A node and where it stands: how deep, and how many nodes were before it."""

    node: Node
    depth: int


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
    """A definition from JSON. Raises InvalidQuery that names the field and the fix."""
    if len(text) > MOST_BYTES:
        raise _too_long(len(text))
    try:
        node = _DECODER.decode(text)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _explained(str(error)) from error
    checked(node)
    return node


def write(node: Node) -> str:
    """A definition as JSON."""
    return msgspec.json.encode(node).decode()


def checked(node: Node) -> Node:
    """The same, unless it is too big to be asked. Raises InvalidQuery."""
    places = list(walk(node))
    if max(place.depth for place in places) > MOST_DEPTH:
        raise _too_deep()
    if len(places) > MOST_PARTS:
        raise too_many(len(places))
    if (size := len(write(node))) > MOST_BYTES:
        raise _too_long(size)
    return node


def too_many(parts: int) -> InvalidQuery:
    """The mistake of a definition with so many parts."""
    return _bad("definition", f"it has {parts} parts or more", f"combine at most {MOST_PARTS}")


def walk(node: Node, depth: int = 1) -> Iterator[Place]:
    """A node and everything below it."""
    yield Place(node, depth)
    if isinstance(node, Combined):
        for part in node.parts:
            yield from walk(part, depth + 1)


def _too_long(size: int) -> InvalidQuery:
    fix = f"write at most {MOST_BYTES}, saved segments written out"
    return _bad("definition", f"it has {size} bytes", fix)


def _too_deep() -> InvalidQuery:
    fix = f"nest at most {MOST_DEPTH} deep; save an inner one and name it"
    return _bad("definition", "it is nested too deep", fix)


def _explained(raw_params: str) -> InvalidQuery:
    """What the decoder says: the problem, and after " - at " where."""
    problem, _, path = raw_params.partition(" - at ")
    where = path.strip("`").removeprefix("$").removeprefix(".")
    field = where.rpartition(".")[2].partition("[")[0]
    missing = problem.rpartition("missing required field ")[2].strip("`")
    fix = _FIXES.get(missing) or _FIXES.get(field) or _SHAPE
    return _bad(f"definition.{where}".rstrip("."), problem, fix)


def _bad(name: str, problem: str, fix: str) -> InvalidQuery:
    return InvalidQuery([Issue(name, problem, fix)])
