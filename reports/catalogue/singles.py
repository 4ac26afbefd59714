"""Single sends: messages that belong to no campaign."""

from typing import Final

from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.columns import text
from reports.definition.report import Report, Section

NAME: Final = "singles"
FILTERS: Final = (*f.STANDARD, f.TO_NUMBER)
COLUMNS: Final = (
    c.RECIPIENT,
    c.COUNTRY,
    c.SENT_AT,
    text(
        "start_of_content",
        "Content",
        "first 60 characters of the text of the latest attempt; of a verification message none",
    ),
    *c.optional(
        c.CONTENT,
        c.MESSAGE_ID,
        c.CHANNEL,
        c.PLATFORM_STATUS,
        c.CARRIER_STATUS,
        c.FAIL_REASON,
        c.ERROR_TEXT,
    ),
)

SINGLES: Final = Report(
    NAME,
    "Single sends",
    "Messages of the period that belong to no campaign, the newest first.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Single sends",
            "One row for each outbound message without a campaign.",
            "rows",
            COLUMNS,
            FILTERS,
            source="reported_messages",
            only="is_sent AND campaign_id = ''",
            newest_first=True,
        ),
    ),
)
