"""Failed users: people whom a campaign did not reach, and why; meant for export."""

from typing import Final

import msgspec

from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.audience import condition_for, messages_of, without_suppressed
from reports.definition.report import Filter, Report, Section

NAME: Final = "failed"
_CAMPAIGNS: Final = "[{campaign:String}]"


IDENTIFIERS: Final = tuple(
    msgspec.structs.replace(column, dimension=column.name)
    for column in (c.EXTERNAL_ID, c.RECIPIENT, c.EMAIL, c.MESSAGE_ID, c.COUNTRY)
)
_REASON: Final = msgspec.structs.replace(
    c.FAIL_REASON, label="Fail Reason", meaning="why it failed, a word of the list of reasons"
)
CHOSEN: Final = Filter(
    "identifiers",
    "Identifiers",
    "columns that identify the person, besides the reason; none: external id and number",
    "",
    choices=tuple(column.name for column in IDENTIFIERS),
    default=("external_id", "recipient"),
)
WITH_SUPPRESSED: Final = msgspec.structs.replace(
    f.WITH_SUPPRESSED,
    condition=without_suppressed(_CAMPAIGNS, "{with_suppressed:String} = 'yes'"),
)
FILTERS: Final = (f.ACCOUNT, f.CHANNEL, f.IN_CAMPAIGN, CHOSEN, WITH_SUPPRESSED)

FAILED: Final = Report(
    NAME,
    "Failed users",
    "The people a campaign did not reach, by the identifiers you choose, and why.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Failed users",
            "One row for each person with a failed message of the campaign: the latest.",
            "rows",
            (
                *IDENTIFIERS,
                *c.optional(c.SENT_AT),
                _REASON,
                c.SUPPRESSED,
                *c.optional(c.ERROR_TEXT),
            ),
            FILTERS,
            source=messages_of(_CAMPAIGNS),
            only=condition_for("failed", _CAMPAIGNS),
            counted="uniqExact(person)",
        ),
    ),
)
