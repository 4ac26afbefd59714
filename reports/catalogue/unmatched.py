"""Unmatched receipts: what providers reported about messages that are not known."""

from typing import Final

import msgspec

from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.columns import moment, optional, text, word
from reports.definition.report import Filter, Report, Section

NAME: Final = "unmatched"
STATE: Final = Filter(
    "state",
    "State",
    "open: the message is not known; found: it was found after all; none: open",
    "(empty({state:Array(String)}) OR has({state:Array(String)}, if(found, 'found', 'open')))",
    choices=("open", "found"),
    default=("open",),
)
ENDPOINT: Final = Filter(
    "endpoint",
    "Endpoint",
    "endpoints that the provider called; none: all",
    "(empty({endpoint:Array(String)}) OR has({endpoint:Array(String)}, endpoint))",
)
FILTERS: Final = (
    f.ACCOUNT,
    msgspec.structs.replace(
        f.SINCE,
        meaning="first day on which the provider called, in the account's time zone; none: from the"
        " first",
        condition="received_at >= {since:DateTime64(3, 'UTC')}",
    ),
    msgspec.structs.replace(
        f.UNTIL,
        meaning="last day on which the provider called, inclusive; none: up to the latest",
        condition="received_at < {until:DateTime64(3, 'UTC')}",
    ),
    STATE,
    ENDPOINT,
    msgspec.structs.replace(f.PROVIDER, meaning="provider of the receipts; none: all"),
)
COLUMNS: Final = (
    moment("received_at", "Received at", "when the provider called"),
    word("endpoint", "Endpoint", "endpoint that the provider called"),
    msgspec.structs.replace(c.PROVIDER, meaning="provider of the receipt"),
    msgspec.structs.replace(
        c.PROVIDER_MESSAGE_ID, meaning="id the provider gave the message; empty: none"
    ),
    text("reference", "Reference", "reference that the provider repeats; empty: none"),
    text("recipient", "Recipient", "number the receipt names; empty: none"),
    word("status", "Status given", "status of the receipt, in our words"),
    word("provider_status", "Provider's word", "status in the provider's own word"),
    word("error_code", "Code given", "code of the provider"),
    text("message_id", "Message id", "its message, found after all; empty: not known"),
    *optional(
        text("error_text", "Words given", "words of the provider"),
        moment("occurred_at", "Occurred at", "when it happened, by the provider; empty: not given"),
        moment("at", "Reported at", "when it was reported, or found"),
        text("id", "Receipt", "digest of the receipt; the same receipt has the same one"),
    ),
)

UNMATCHED: Final = Report(
    NAME,
    "Unmatched receipts",
    "Receipts of providers that name a message which is not known: its id was never published, or"
    " is another one.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Receipts",
            "One row for each receipt that was reported without its message, the latest first.",
            "rows",
            COLUMNS,
            FILTERS,
            source="unmatched_receipts",
        ),
    ),
    all_by_default=True,
)
