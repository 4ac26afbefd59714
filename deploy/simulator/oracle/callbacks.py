"""Which message each receipt of a callback is about, and what it says.

Part of the oracle: by the rules of docs/endpoints.md, from the truth file alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from deploy.simulator.oracle.codes import BARRED, NOT_ON_WHATSAPP, UNKNOWN, meaning_of

Report = Mapping[str, Any]
IdKey = tuple[str, str, str]  # account, provider, the id as its receipts have it


class Unmatched(NamedTuple):
    """A receipt without its message: a row of unmatched_receipts."""

    account: str
    provider_message_id: str
    status: str
    occurred_at: int


class Callbacks:
    """Receipts of callbacks, and the ids that are known, in any order."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._links: dict[IdKey, tuple[str, int]] = {}

    def add_link(self, fields: Mapping[str, Any]) -> None:
        """A record of provider-ids, or a send that names an id."""
        key = (fields["account"], fields["provider"], _compared(fields, sent=True))
        self._links[key] = (fields["message_id"], fields.get("attempt") or 1)

    def resolved(self, report: Report) -> dict[str, Any] | None:
        """The receipt as an event of the contract; None: its message is not known."""
        named = self._named(report)
        if named is None:
            return None
        message_id, attempt = named
        fields = {name: value for name, value in report.items() if value not in ("", None)}
        provider = fields.pop("codes", fields["provider"])
        fields |= {"message_id": message_id, "provider": provider, "status": _status(report)}
        return fields | ({"attempt": attempt} if attempt else {})

    def _named(self, report: Report) -> tuple[str, int] | None:
        """Message and attempt, 0: not named."""
        if report["reference"]:
            _, message_id, *attempt = report["reference"].split("/")
            return message_id, int(attempt[0]) if attempt else 0
        key = (report["account"], report["provider"], _compared(report, sent=False))
        return self._links.get(key)


def unmatched_of(report: Report) -> Unmatched:
    """The row of a receipt without its message."""
    return Unmatched(
        report["account"], report["provider_message_id"], _status(report), report["occurred_at"]
    )


def _compared(fields: Mapping[str, Any], sent: bool) -> str:
    """Senders know ids of SMPP as hexadecimal numbers, receipts have decimal ones."""
    written = str(fields["provider_message_id"])
    return str(int(written, 16)) if sent and fields["provider"] == "smpp" else written


def _status(report: Report) -> str:
    """A hard failure for another cause than a dead or unfit number is a rejection.

    Raises ValueError for a code that only the provider knows.
    """
    status: str = report["status"]
    if status not in ("undelivered", "rejected"):
        return status
    known = meaning_of(report.get("codes") or report["provider"], report["error_code"])
    if known is None:
        raise ValueError(f"error_code: {report['error_code']!r} is not known")
    if known.bounce != "hard":
        return "undelivered"
    unfit = known.scope == "recipient" and known.reason in (UNKNOWN, BARRED, NOT_ON_WHATSAPP)
    return "undelivered" if unfit else "rejected"
