"""Person: everything one recipient was sent, and what came of it."""

from typing import Final

from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.report import Filter, Report, Section

NAME: Final = "person"
RANGE_DAYS: Final = 30
#: Ranges one can ask for: six months back.
RANGES: Final = ("0", "1", "2", "3", "4", "5")

#: When which column is meant. It is known before any row is read, so that its index finds them.
_MEANT: Final = {
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
        f"(NOT ({meant}) OR {column} = {{person:String}})" for column, meant in _MEANT.items()
    ),
    "String",
    example="+358401234567",
    required=True,
    fix="give a number such as +358401234567, an e-mail address or an external id",
)
IDENTIFIER: Final = Filter(
    "identifier",
    "Identifier",
    "what the person is known by; none: a number when it begins with +, an e-mail address when it"
    " has an @, else an external id",
    "",
    "String",
    choices=("number", "email", "external_id"),
)
RANGE: Final = Filter(
    "range",
    "Range",
    "which 30 days: 0 the latest, 1 those before them, up to 5; none: 0",
    "",
    "String",
    choices=RANGES,
)
ASKED: Final = (f.ACCOUNT, f.CHANNEL, PERSON, IDENTIFIER, RANGE)
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
    "Everything one recipient was sent in 30 days, and what came of it; six months back.",
    ASKED,
    (
        Section(
            NAME,
            "",
            "Messages",
            "One row an outbound message to this person, the newest first.",
            "rows",
            COLUMNS,
            (*ASKED, f.SINCE, f.UNTIL),
            source="reported_messages",
            only="is_sent",
        ),
    ),
    range_days=RANGE_DAYS,
)
