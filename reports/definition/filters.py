"""Filters that several reports share; conditions are on the columns of reported_messages."""

from typing import Final, get_args

from models.vocabulary import Channel, Source
from reports.definition.report import Filter


def _one_of(name: str, label: str, meaning: str, column: str = "", **more: object) -> Filter:
    """A filter by one or several values of a column."""
    condition = (
        f"(empty({{{name}:Array(String)}}) OR has({{{name}:Array(String)}}, {column or name}))"
    )
    return Filter(name, label, meaning, condition, **more)  # type: ignore[arg-type]


def broken_down_by(*choices: str, default: str) -> Filter:
    """A filter of dimensions. Each choice is the `dimension` of the columns it shows."""
    meaning = f"dimensions of the rows, one or several; none: {default}"
    return Filter("by", "Broken down by", meaning, "", choices=choices, default=(default,))


ACCOUNT: Final = Filter(
    "account", "Account", "the tenant", "account = {account:String}", "String", required=True
)
SINCE: Final = Filter(
    "since",
    "From",
    "first day of the period, in the account's time zone",
    "sent_at >= {since:DateTime64(3, 'UTC')}",
    "DateTime64(3, 'UTC')",
    required=True,
)
UNTIL: Final = Filter(
    "until",
    "To",
    "last day of the period, inclusive",
    "sent_at < {until:DateTime64(3, 'UTC')}",
    "DateTime64(3, 'UTC')",
    required=True,
)
CHANNEL: Final = Filter(
    "channel",
    "Channel",
    "sms or whatsapp; none: both",
    "({channel:String} = '' OR channel = {channel:String})",
    "String",
    choices=get_args(Channel),
)
SOURCE: Final = _one_of(
    "source", "Source", "what sent the messages; none: all", choices=get_args(Source)
)
STANDARD: Final = (ACCOUNT, SINCE, UNTIL, CHANNEL)
SENT_BY: Final = _one_of("sent_by", "Sent by", "person or service that sent it; none: all")
STATUS: Final = _one_of(
    "status",
    "Status",
    "what the platform did; none: all",
    column="platform_status",
    choices=("submitted", "rejected"),
)
CARRIER_STATUS: Final = _one_of(
    "carrier_status",
    "Carrier status",
    "what the network did; none: all",
    choices=("queued", "delivered", "undelivered"),
)
SENDER: Final = _one_of(
    "sender", "Sender", "number or name the recipient sees; none: all", column="sender_id"
)
TO_NUMBER: Final = Filter(
    "recipient",
    "Recipient",
    "number of the recipient, E.164, or user id of WhatsApp; none: all",
    "({recipient:String} = '' OR person = {recipient:String})",
    "String",
    example="+358401234567",
    reads="number",
)
PROVIDER: Final = _one_of("provider", "Provider", "provider of the latest attempt; none: all")
IN_COUNTRY: Final = _one_of(
    "country", "Country", "ISO 3166-1 alpha-2 code of the recipient's country; none: all"
)
WITH_SUPPRESSED: Final = Filter(
    "with_suppressed",
    "Suppressed people",
    "yes: also people who are suppressed on the channel of one of these messages; none:"
    " without them",
    "",
    "String",
    choices=("yes",),
)
CONTENT: Final = Filter(
    "content",
    "Content",
    "yes: with the text of each message; none: without, which is faster",
    "",
    "String",
    choices=("yes",),
)
IN_CAMPAIGN: Final = Filter(
    "campaign",
    "Campaign",
    "id of the campaign",
    "",
    "String",
    example="spring-sale",
    required=True,
    fix="give the id of a campaign; the report `campaigns` lists them",
)
