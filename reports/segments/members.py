"""Members of segments: a definition becomes one SELECT, run at each use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from models.issues import Issue
from reports.definition.audience import condition_for, condition_for_link, messages_of
from reports.definition.columns import COUNTRY, EMAIL, EXTERNAL_ID, RECIPIENT
from reports.query.database import Database, Rows
from reports.query.query import InvalidQuery
from reports.segments.model import MAX_PARTS, Combined, Node, People, checked, too_many
from reports.segments.saved import saved

#: Columns of members, taken from their latest message of the campaigns named.
COLUMNS: Final = (RECIPIENT, EXTERNAL_ID, EMAIL, COUNTRY)
_OPERATORS: Final = {
    "and": "INTERSECT DISTINCT",
    "or": "UNION DISTINCT",
    "except": "EXCEPT DISTINCT",
}
_MEMBERS: Final = """
SELECT
    recipient,
    argMax(external_id, (sent_at, message_id)) AS external_id,
    argMax(email, (sent_at, message_id)) AS email,
    argMax(country, (sent_at, message_id)) AS country
FROM {messages}
WHERE recipient IN ({members})
GROUP BY recipient
ORDER BY recipient
LIMIT {{limit:UInt64}} OFFSET {{offset:UInt64}}
"""
_ALL_ROWS: Final = 2**63 - 1


def count(
    database: Database, account: str, node: Node, known: Mapping[str, Node] | None = None
) -> int:
    """Number of people in a segment. Raises InvalidQuery, DatabaseError.

    known: saved definitions by name, to spare reading them.
    """
    sql, parameters = _segment_sql(database, account, node, known)
    found = database.rows(f"SELECT uniqExact(recipient) FROM ({sql})", parameters).rows
    return int(found[0][0])


def members(database: Database, account: str, node: Node, limit: int = 0, offset: int = 0) -> Rows:
    """People by number, with the COLUMNS. limit: maximum rows, 0 for all.

    Raises InvalidQuery, DatabaseError.
    """
    sql, parameters = _member_sql(database, account, node)
    return database.rows(sql, {**parameters, "limit": limit or _ALL_ROWS, "offset": offset})


def blocks(
    database: Database, account: str, node: Node
) -> AbstractContextManager[Iterator[Sequence[tuple[Any, ...]]]]:
    """All members block by block, for exports; use it in a `with`. Raises as `members`."""
    sql, parameters = _member_sql(database, account, node)
    return database.blocks(sql, {**parameters, "limit": _ALL_ROWS, "offset": 0})


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


def _member_sql(database: Database, account: str, node: Node) -> tuple[str, dict[str, Any]]:
    sql, parameters = _segment_sql(database, account, node)
    named = [ids for name, ids in parameters.items() if name.startswith("campaigns_")]
    campaigns = sorted({one for ids in named for one in ids})
    members_sql = _MEMBERS.format(messages=messages_of("{campaigns:Array(String)}"), members=sql)
    return members_sql, {**parameters, "campaigns": campaigns}


def _segment_sql(
    database: Database, account: str, node: Node, known: Mapping[str, Node] | None = None
) -> tuple[str, dict[str, Any]]:
    """The SELECT of the recipients of a segment, and its parameters."""
    if not isinstance(node, People):
        node = resolved(node, saved(database, account) if known is None else known)
    parameters: dict[str, Any] = {}
    sql = _select(checked(node), parameters)
    return sql, {**parameters, "account": account}


def _select(node: Node, parameters: dict[str, Any]) -> str:
    if isinstance(node, Combined):
        parts = [f"({_select(part, parameters)})" for part in node.parts]
        return f"SELECT recipient FROM ({f' {_OPERATORS[node.op]} '.join(parts)})"
    assert isinstance(node, People)
    return _people(node, parameters)


def _people(node: People, parameters: dict[str, Any]) -> str:
    number = len(parameters)
    campaigns, links = f"{{campaigns_{number}:Array(String)}}", f"{{links_{number}:Array(String)}}"
    parameters[f"campaigns_{number}"] = node.campaigns
    everybody = f"SELECT DISTINCT recipient FROM {messages_of(campaigns)} WHERE true"
    if node.channel:
        parameters[f"channel_{number}"] = node.channel
        everybody += f" AND channel = {{channel_{number}:String}}"
    condition = condition_for(node.did, campaigns)
    if node.links:
        parameters[f"links_{number}"] = node.links
        condition = condition_for_link(node.did, campaigns, links)
    did_it = f"{everybody} AND {condition}"
    return f"{everybody} AND recipient NOT IN ({did_it})" if node.not_ else did_it
