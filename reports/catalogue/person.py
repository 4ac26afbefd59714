"""Person: all messages to one recipient, with their results."""

from typing import Final

from clickhouse_connect.driver.binding import format_str

from models.numbers import PERSON_PATTERN
from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.columns import moment, text
from reports.definition.report import Filter, Report, Section

NAME: Final = "person"
RANGE_DAYS: Final = 30
#: Numbers of the ranges: six months back.
RANGES: Final = ("0", "1", "2", "3", "4", "5")

#: What a message must fulfil, by the kind of the value of `person`, and when it is of that kind.
#: ClickHouse decides it before it reads rows, so that it uses the index of the column.
_IS_NUMBER: Final = f"match({{person:String}}, {format_str(PERSON_PATTERN)})"
_USED_WHEN: Final = {
    "person = {person:String}": (
        f"{{identifier:String}} = 'number' OR {{identifier:String}} = '' AND {_IS_NUMBER}"
    ),
    "lowerUTF8(email) = lowerUTF8({person:String})": (
        "{identifier:String} = 'email' OR {identifier:String} = ''"
        f" AND NOT {_IS_NUMBER} AND position({{person:String}}, '@') > 0"
    ),
    "lowerUTF8(external_id) = lowerUTF8({person:String})": (
        "{identifier:String} = 'external_id' OR {identifier:String} = ''"
        f" AND NOT {_IS_NUMBER} AND position({{person:String}}, '@') = 0"
    ),
}
PERSON: Final = Filter(
    "person",
    "Person",
    "number, user id of WhatsApp, e-mail address or external id of the recipient",
    " AND ".join(f"(NOT ({used}) OR {condition})" for condition, used in _USED_WHEN.items()),
    "String",
    example="+358401234567",
    required=True,
    fix="give a number such as +358401234567, an e-mail address or an external id",
    reads="person",
)
IDENTIFIER: Final = Filter(
    "identifier",
    "Identifier",
    "kind of the value of person; none: a number when it is written like one or is a user id of"
    " WhatsApp, an e-mail address when it has an @, else an external id",
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
        c.CONVERTED_AT,
        c.ERROR_TEXT,
    ),
)
_SUPPRESSIONS: Final = (
    c.RECIPIENT,
    c.CHANNEL,
    moment("since", "Since", "when the suppression began"),
    text("why", "Why", "what suppresses the number: messages that struck it, requests"),
    moment("until", "Until", "when it expires; empty: until released"),
    c.BINDS,
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
        Section(
            NAME,
            "suppressions",
            "Suppressed",
            "One row for each number of this person and channel by which it must not be written to"
            " now, the latest first; of an e-mail address or external id, the numbers of its"
            " messages.",
            "series",
            _SUPPRESSIONS,
            (*FILTERS, f.SINCE, f.UNTIL),
        ),
    ),
    range_days=RANGE_DAYS,
)
