"""Small reads outside of reports: time zones, accounts, names of campaigns, texts of messages."""

from typing import Final

from models.issues import Issue
from reports.definition.report import ALL_TEXTS
from reports.query.database import Database
from reports.query.query import InvalidQuery, ReportQuery

DEFAULT_ZONE: Final = "UTC"
_ZONE: Final = "SELECT time_zone FROM accounts_current WHERE account = {account:String}"
_IS_KNOWN: Final = (
    "SELECT account FROM messages WHERE account = {account:String} LIMIT 1 UNION ALL "
    "SELECT account FROM accounts_current WHERE account = {account:String}"
)
_KNOWN: Final = (
    "SELECT account FROM messages UNION DISTINCT SELECT account FROM accounts_current "
    "ORDER BY account LIMIT {limit:UInt64}"
)
_CAMPAIGN: Final = """
SELECT name FROM campaigns_current
WHERE account = {account:String} AND campaign_id = {campaign:String}
"""
_TEXT: Final = """
SELECT content FROM {texts}
WHERE account = {{account:String}} AND message_id = {{message_id:String}}
"""


def zone_of(database: Database, account: str) -> str:
    """IANA time zone of an account's reports; UTC for an account without settings."""
    found = database.rows(_ZONE, {"account": account}).rows
    return str(found[0][0]) if found else DEFAULT_ZONE


def is_known_account(database: Database, account: str) -> bool:
    """Whether an account has messages or settings."""
    return bool(database.rows(_IS_KNOWN, {"account": account}).rows)


def known_accounts(database: Database, limit: int) -> list[str]:
    """Accounts that have messages or settings, by name; at most `limit`."""
    return [str(row[0]) for row in database.rows(_KNOWN, {"limit": limit}).rows]


def campaign_name(database: Database, account: str, campaign: str) -> str:
    """Name of a campaign; its id when the name is unknown."""
    found = database.rows(_CAMPAIGN, {"account": account, "campaign": campaign}).rows
    return str(found[0][0] if found else "") or campaign


def text_of(
    database: Database, account: str, message_id: str, *, all_texts: bool = False
) -> str | None:
    """Text of the latest attempt of a message; None: unknown, no longer kept or not shown.

    all_texts: whether texts of verification messages are shown.
    """
    sql = _TEXT.format(texts=ALL_TEXTS if all_texts else "reported_texts")
    found = database.rows(sql, {"account": account, "message_id": message_id}).rows
    return str(found[0][0]) if found else None


def require_known(database: Database, query: ReportQuery) -> None:
    """Raises InvalidQuery for a value of a filter that must exist in the account and does not."""
    checked = [one for one in query.report.own_filters if one.known]
    issues = [
        Issue(one.name, f"{query.values[one.name]!r} is not known", one.fix)
        for one in checked
        if not is_known(database, one.known, query.account, **{one.name: query.values[one.name]})
    ]
    if issues:
        raise InvalidQuery(issues)


def is_known(database: Database, sql: str, account: str, **value: str) -> bool:
    """Whether a SELECT has a row. value: of its own parameter, by name."""
    return bool(database.rows(sql, {"account": account, **value}).rows)
