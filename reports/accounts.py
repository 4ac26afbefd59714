"""What reports need to know of an account."""

from typing import Final

from reports.database import Database

DEFAULT_ZONE: Final = "UTC"
_ZONE: Final = "SELECT time_zone FROM accounts_current WHERE account = {account:String}"


def zone_of(database: Database, account: str) -> str:
    """IANA time zone of an account's reports; an account without settings has UTC."""
    found = database.rows(_ZONE, {"account": account}).rows
    return str(found[0][0]) if found else DEFAULT_ZONE
