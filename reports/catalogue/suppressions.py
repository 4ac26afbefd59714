"""Suppressions: numbers that must not be sent to, why, and the messages behind their strikes."""

from typing import Final, get_args

import msgspec

from models.suppression import SuppressionReason
from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.columns import count, moment, text, word
from reports.definition.report import Filter, Report, Section

NAME: Final = "suppressions"
REASON: Final = Filter(
    "reason",
    "Reason",
    "why the number is suppressed; none: all",
    "(empty({reason:Array(String)}) OR hasAny(reasons, {reason:Array(String)}))",
    choices=get_args(SuppressionReason),
)
FILTERS: Final = (
    f.ACCOUNT,
    msgspec.structs.replace(
        f.SINCE,
        meaning="first day of the suppression, in the account's time zone; ignored with the filter"
        " recipient",
        condition="({recipient:String} != '' OR since >= {since:DateTime64(3, 'UTC')})",
    ),
    msgspec.structs.replace(
        f.UNTIL,
        meaning="last day of the suppression, inclusive",
        condition="({recipient:String} != '' OR since < {until:DateTime64(3, 'UTC')})",
    ),
    REASON,
    f.TO_NUMBER,
)
_FAIL_REASON: Final = msgspec.structs.replace(c.FAIL_REASON, meaning="why the message failed")

SUPPRESSIONS: Final = Report(
    NAME,
    "Suppressions",
    "Numbers that must not be sent to any more: since when, why, and by which messages.",
    FILTERS,
    (
        Section(
            NAME,
            "numbers",
            "Suppressed numbers",
            "One row for each number that is suppressed now and has been since a day of the period,"
            " the latest first.",
            "rows",
            (
                c.RECIPIENT,
                text("reasons", "Reasons", "hard_bounces, unsubscribed, manual: all that apply"),
                moment("since", "Since", "when the suppression began"),
                moment("until", "Until", "when it expires; empty: until released"),
                count("strikes", "Strikes", "messages that ended as hard bounces and count now"),
                text("messages", "Messages", "ids of these messages, the newest strike first"),
            ),
            FILTERS,
            source="suppressions",
            only="suppressed",
        ),
        Section(
            NAME,
            "strikes",
            "Messages behind them",
            "One row for each strike of these numbers: a message that ended as a hard bounce with"
            " scope recipient and counts now.",
            "rows",
            (
                c.RECIPIENT,
                c.MESSAGE_ID,
                c.SENT_AT,
                moment("struck_at", "Struck at", "time of the receipt with the hard bounce"),
                word("code", "Error code", "code given by the provider"),
                _FAIL_REASON,
                c.CAMPAIGN_ID,
            ),
            FILTERS,
            source="suppressions",
            only="suppressed",
            counted="sum(strikes)",
        ),
    ),
)
