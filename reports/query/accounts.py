"""What reports need to know of an account."""

from typing import Final

from reports.query.database import Database

DEFAULT_ZONE: Final = "UTC"
_ZONE: Final = "SELECT time_zone FROM accounts_current WHERE account = {account:String}"


def zone_of(database: Database, account: str) -> str:
    """IANA time zone of an account's reports; an account without settings has UTC."""
    found = database.rows(_ZONE, {"account": account}).rows
    return str(found[0][0]) if found else DEFAULT_ZONE


_ANY: Final = (
    "SELECT account FROM messages WHERE account = {account:String} LIMIT 1 UNION ALL "
    "SELECT account FROM accounts_current WHERE account = {account:String}"
)
_ALL: Final = (
    "SELECT account FROM messages UNION DISTINCT SELECT account FROM accounts_current "
    "ORDER BY account LIMIT {most:UInt64}"
)


def is_known(database: Database, account: str) -> bool:
    """Whether an account has messages or settings."""
    return bool(database.rows(_ANY, {"account": account}).rows)


def some(database: Database, most: int) -> list[str]:
    """Accounts that have messages or settings, by name; `most` at most."""
    return [str(row[0]) for row in database.rows(_ALL, {"most": most}).rows]
