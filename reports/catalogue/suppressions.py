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
ON_CHANNEL: Final = msgspec.structs.replace(
    f.CHANNEL, meaning="channel of the suppression; none: all"
)
FILTERS: Final = (
    f.ACCOUNT,
    msgspec.structs.replace(
        f.SINCE,
        meaning="first day on which a suppression began, in the account's time zone; none: from the"
        " first; ignored with the filter recipient",
        condition="({recipient:String} != '' OR since >= {since:DateTime64(3, 'UTC')})",
    ),
    msgspec.structs.replace(
        f.UNTIL,
        meaning="last day on which a suppression began, inclusive; none: up to the latest",
        condition="({recipient:String} != '' OR since < {until:DateTime64(3, 'UTC')})",
    ),
    REASON,
    ON_CHANNEL,
    msgspec.structs.replace(
        f.TO_NUMBER, condition="({recipient:String} = '' OR recipient = {recipient:String})"
    ),
)
_FAIL_REASON: Final = msgspec.structs.replace(c.FAIL_REASON, meaning="why the message failed")

SUPPRESSIONS: Final = Report(
    NAME,
    "Suppressions",
    "Numbers that must not be sent to any more: by which channel, since when, and why.",
    FILTERS,
    (
        Section(
            NAME,
            "totals",
            "Totals",
            "Numbers that are suppressed now, each once, by reason; a number may have several.",
            "figures",
            (
                count("numbers", "Suppressed numbers", "numbers that must not be sent to"),
                count("hard_bounces", "Hard bounces", "numbers with too many hard bounces"),
                count("unsubscribed", "Unsubscribed", "numbers whose people unsubscribed"),
                count("manual", "By hand", "numbers that were suppressed by hand"),
            ),
            FILTERS,
            only="suppressed",
        ),
        Section(
            NAME,
            "numbers",
            "Suppressed numbers",
            "One row for each number and channel that is suppressed now, the latest first.",
            "rows",
            (
                c.RECIPIENT,
                c.CHANNEL,
                text("reasons", "Reasons", "hard_bounces, unsubscribed, manual: all that apply"),
                moment("since", "Since", "when the suppression began"),
                moment("until", "Until", "when it expires; empty: until released"),
                c.BINDS,
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
                c.CHANNEL,
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
    all_by_default=True,
)
