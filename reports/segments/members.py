"""Members of segments: a definition becomes one SELECT, run at each use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import msgspec

from models.issues import Issue
from models.vocabulary import CHANNELS
from reports.definition.audience import (
    SUPPRESSED,
    SUPPRESSED_PEOPLE,
    condition_for,
    condition_for_link,
    messages_of,
)
from reports.definition.columns import COUNTRY, EMAIL, EXTERNAL_ID, RECIPIENT
from reports.definition.columns import SUPPRESSED as SUPPRESSED_COLUMN
from reports.query.database import Database, Rows
from reports.query.query import InvalidQuery
from reports.segments.model import MAX_PARTS, Combined, Node, People, checked, too_many
from reports.segments.saved import saved

#: Columns of members, taken from their latest message of the campaigns named.
COLUMNS: Final = (RECIPIENT, EXTERNAL_ID, EMAIL, COUNTRY, SUPPRESSED_COLUMN)
_OPERATORS: Final = {
    "and": "INTERSECT DISTINCT",
    "or": "UNION DISTINCT",
    "except": "EXCEPT DISTINCT",
}
#: A person is suppressed here on the channel of a message of the campaigns named.
_IS_SUPPRESSED: Final = f"{SUPPRESSED} AND has({{channels:Array(String)}}, channel)"
_MEMBERS: Final = """
SELECT
    members.recipient AS recipient,
    members.external_id AS external_id,
    members.email AS email,
    members.country AS country,
    held.suppressed AS suppressed
FROM (
    SELECT
        person,
        argMax(recipient, (sent_at, message_id)) AS recipient,
        argMax(external_id, (sent_at, message_id)) AS external_id,
        argMax(email, (sent_at, message_id)) AS email,
        argMax(country, (sent_at, message_id)) AS country,
        max({is_suppressed}) AS is_suppressed
    FROM {messages}
    WHERE person IN ({members})
    GROUP BY person
) AS members
LEFT JOIN (
    {suppressed_people}
) AS held ON held.person = members.person
WHERE {{with_suppressed:Bool}} OR NOT members.is_suppressed
ORDER BY recipient
LIMIT {{limit:UInt64}} OFFSET {{offset:UInt64}}
"""
_COUNT: Final = """
SELECT uniqExact(person), uniqExactIf(person, {is_suppressed})
FROM {messages}
WHERE person IN ({members})
"""
_ALL_ROWS: Final = 2**63 - 1


class Size(NamedTuple):
    """people: who are listed. left_out: suppressed people who are not."""

    people: int
    left_out: int = 0

    def __str__(self) -> str:
        text = f"{self.people:,} {'person' if self.people == 1 else 'people'}"
        if not self.left_out:
            return text
        return (
            f"{text}; {self.left_out:,} suppressed {'is' if self.left_out == 1 else 'are'} left out"
        )


def count(
    database: Database,
    account: str,
    node: Node,
    known: Mapping[str, Node] | None = None,
    *,
    with_suppressed: bool = False,
) -> Size:
    """Number of people in a segment. Raises InvalidQuery, DatabaseError.

    known: saved definitions by name, to spare reading them.
    """
    sql, parameters = _member_sql(database, account, node, _COUNT, known)
    ((people, suppressed),) = database.rows(sql, parameters).rows
    return Size(people) if with_suppressed else Size(people - suppressed, suppressed)


def members(
    database: Database,
    account: str,
    node: Node,
    limit: int = 0,
    offset: int = 0,
    *,
    with_suppressed: bool = False,
) -> Rows:
    """People by number, with the COLUMNS. limit: maximum rows, 0 for all.

    Raises InvalidQuery, DatabaseError.
    """
    sql, parameters = _member_sql(database, account, node)
    chosen = {"limit": limit or _ALL_ROWS, "offset": offset, "with_suppressed": with_suppressed}
    return database.rows(sql, {**parameters, **chosen})


def blocks(
    database: Database, account: str, node: Node, *, with_suppressed: bool = False
) -> AbstractContextManager[Iterator[Sequence[tuple[Any, ...]]]]:
    """All members block by block, for exports; use it in a `with`. Raises as `members`."""
    sql, parameters = _member_sql(database, account, node)
    chosen = {"limit": _ALL_ROWS, "offset": 0, "with_suppressed": with_suppressed}
    return database.blocks(sql, {**parameters, **chosen})


def resolved(node: Node, known: Mapping[str, Node]) -> Node:
    """A definition with saved segments replaced by their current definitions.

    known: saved definitions by name. Raises InvalidQuery for an unknown name, a segment that
    contains itself, and a result that is too large.
    """
    return _Resolver(known).resolve(node, ())


class _Resolver:
    """Counts nodes as it goes, since nested names multiply them."""

    def __init__(self, known: Mapping[str, Node]) -> None:
        self._known = known
        self._nodes = 0

    def resolve(self, node: Node, above: tuple[str, ...]) -> Node:
        """above: names of the saved segments that contain the node."""
        self._nodes += 1
        if self._nodes > 2 * MAX_PARTS:
            raise too_many(self._nodes)
        if isinstance(node, Combined):
            return Combined(node.op, [self.resolve(part, above) for part in node.parts])
        if isinstance(node, People):
            return node
        return self.resolve(self._definition(node.name, above), (*above, node.name))

    def _definition(self, name: str, above: tuple[str, ...]) -> Node:
        if name in above:
            circle = " -> ".join((*above[above.index(name) :], name))
            fix = f"take {name!r} out of {above[-1]!r}"
            raise InvalidQuery([Issue("segment", f"it contains itself: {circle}", fix)])
        if name not in self._known:
            fix = "save it first, or name another"
            raise InvalidQuery([Issue("segment", f"no segment is saved as {name!r}", fix)])
        return self._known[name]


def _member_sql(
    database: Database,
    account: str,
    node: Node,
    template: str = _MEMBERS,
    known: Mapping[str, Node] | None = None,
) -> tuple[str, dict[str, Any]]:
    """A SELECT about the people of a segment, and its parameters."""
    if not isinstance(node, People):
        node = resolved(node, saved(database, account) if known is None else known)
    parameters: dict[str, Any] = {"account": account}
    sql = template.format(
        messages=messages_of("{campaigns:Array(String)}"),
        members=_select(checked(node), parameters),
        is_suppressed=_IS_SUPPRESSED,
        suppressed_people=SUPPRESSED_PEOPLE,
    )
    leaves = list(_leaves(node))
    parameters["campaigns"] = sorted({one for leaf in leaves for one in leaf.campaigns})
    parameters["channels"] = sorted({one for leaf in leaves for one in _channels_of(leaf)})
    return sql, parameters


def _leaves(node: Node) -> Iterator[People]:
    if isinstance(node, Combined):
        for part in node.parts:
            yield from _leaves(part)
    elif isinstance(node, People):
        yield node


def _channels_of(node: People) -> tuple[str, ...]:
    return (node.channel,) if node.channel else CHANNELS


def _select(node: Node, parameters: dict[str, Any]) -> str:
    if isinstance(node, Combined):
        parts = [f"({_select(part, parameters)})" for part in node.parts]
        return f"SELECT person FROM ({f' {_OPERATORS[node.op]} '.join(parts)})"
    assert isinstance(node, People)
    return _people(node, parameters)


def _people(node: People, parameters: dict[str, Any]) -> str:
    number = len(parameters)
    campaigns, links = f"{{campaigns_{number}:Array(String)}}", f"{{links_{number}:Array(String)}}"
    parameters[f"campaigns_{number}"] = node.campaigns
    everybody = f"SELECT DISTINCT person FROM {messages_of(campaigns)} WHERE true"
    if node.channel:
        parameters[f"channel_{number}"] = node.channel
        everybody += f" AND channel = {{channel_{number}:String}}"
    if _did_not_click(node):
        node = msgspec.structs.replace(node, did="not_clicked", not_=False)
    condition = condition_for(node.did, campaigns)
    if node.links:
        parameters[f"links_{number}"] = node.links
        condition = condition_for_link(node.did, campaigns, links)
    did_it = f"{everybody} AND {condition}"
    return f"{everybody} AND person NOT IN ({did_it})" if node.not_ else did_it


def _did_not_click(node: People) -> bool:
    """Both ways to define it mean the same: delivered, and not clicked."""
    return node.did == "clicked" and node.not_
