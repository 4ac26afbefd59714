"""Person: all messages to one recipient, with their results."""

from typing import Final

from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.report import Filter, Report, Section

NAME: Final = "person"
RANGE_DAYS: Final = 30
#: Numbers of the ranges: six months back.
RANGES: Final = ("0", "1", "2", "3", "4", "5")

#: When `person` is a value of which column. ClickHouse decides it before it reads rows, so that it
#: uses the index of that column.
_USED_WHEN: Final = {
    "recipient": "{identifier:String} = 'number'"
    " OR {identifier:String} = '' AND startsWith({person:String}, '+')",
    "email": "{identifier:String} = 'email' OR {identifier:String} = ''"
    " AND NOT startsWith({person:String}, '+') AND position({person:String}, '@') > 0",
    "external_id": "{identifier:String} = 'external_id' OR {identifier:String} = ''"
    " AND NOT startsWith({person:String}, '+') AND position({person:String}, '@') = 0",
}
PERSON: Final = Filter(
    "person",
    "Person",
    "number, e-mail address or external id of the recipient",
    " AND ".join(
        f"(NOT ({used}) OR {column} = {{person:String}})" for column, used in _USED_WHEN.items()
    ),
    "String",
    example="+358401234567",
    required=True,
    fix="give a number such as +358401234567, an e-mail address or an external id",
)
IDENTIFIER: Final = Filter(
    "identifier",
    "Identifier",
    "kind of the value of person; none: a number when it begins with +, an e-mail address when it"
    " has an @, else an external id",
    "",
    "String",
    choices=("number", "email", "external_id"),
)
RANGE: Final = Filter(
    "range",
    "Range",
    "which 30 days: 0 the latest, 1 the 30 before, up to 5; none: 0",
    "",
    "String",
    choices=RANGES,
)
FILTERS: Final = (f.ACCOUNT, f.CHANNEL, PERSON, IDENTIFIER, RANGE)
COLUMNS: Final = (
    c.SENT_AT,
    c.CHANNEL,
    c.SOURCE,
    c.CAMPAIGN_ID,
    c.PLATFORM_STATUS,
    c.CARRIER_STATUS,
    c.FAIL_REASON,
    c.RECIPIENT,
    *c.optional(
        c.MESSAGE_ID,
        c.STATUS,
        c.ATTEMPTS,
        c.EXTERNAL_ID,
        c.EMAIL,
        c.SENDER,
        c.COUNTRY,
        c.DELIVERED_AT,
        c.READ_AT,
        c.CLICKED_AT,
        c.UNSUBSCRIBED_AT,
    ),
)

PERSON_REPORT: Final = Report(
    NAME,
    "Person",
    "All messages to one recipient in 30 days, with their results; up to six months back.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Messages",
            "One row for each outbound message to this person, the newest first.",
            "rows",
            COLUMNS,
            (*FILTERS, f.SINCE, f.UNTIL),
            source="reported_messages",
            only="is_sent",
        ),
    ),
    range_days=RANGE_DAYS,
)
