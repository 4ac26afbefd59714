"""What messages said: asked for one by one, or as short starts for a page of them."""

from collections.abc import Sequence
from typing import Final

from reports.query.database import Database

#: Characters of a text that are enough to recognise it.
START: Final = 60
_TEXT: Final = """
SELECT content FROM reported_texts
WHERE account = {account:String} AND message_id = {message_id:String}
"""
_STARTS: Final = """
SELECT message_id, leftUTF8(content, {length:UInt16}) FROM reported_texts
WHERE account = {account:String} AND message_id IN {message_ids:Array(String)}
"""


def text_of(database: Database, account: str, message_id: str) -> str | None:
    """Text of the latest attempt of a message; None: unknown, or not kept any more."""
    query = {"account": account, "message_id": message_id}
    found = database.rows(_TEXT, query).rows
    return str(found[0][0]) if found else None


def starts_of(
    database: Database, account: str, message_ids: Sequence[str], length: int = START
) -> dict[str, str]:
    """First characters of the texts of some messages, a page at most: they travel in the URL.

    By message id; messages without a text are left out.
    """
    query = {"account": account, "message_ids": list(message_ids), "length": length}
    return dict(database.rows(_STARTS, query).rows)
