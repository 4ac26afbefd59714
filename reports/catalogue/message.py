"""Message: everything that is known about one message, and what happens with it next."""

from typing import Final

from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.columns import moment, optional, text
from reports.definition.receipt_reading import reading_of
from reports.definition.report import Column, Filter, Report, Section, expand_includes

NAME: Final = "message"
ID: Final = Filter(
    "message_id",
    "Message id",
    "id of the message, as the sending service gave it",
    "message_id = {message_id:String}",
    "String",
    example="m-7f3a91c",
    required=True,
    fix="give the id as the sending service published it, in the same case, such as m-7f3a91c",
    known=expand_includes("/*include known_message*/"),
)
FILTERS: Final = (f.ACCOUNT, ID)

_OUTCOME: Final = (
    c.STATUS,
    c.FAIL_REASON,
    c.BOUNCE,
    c.SCOPE,
    c.ERROR_CODE,
    c.ERROR_TEXT,
    c.ATTEMPTS,
    Column(
        "failed_attempt",
        "Nullable(UInt16)",
        "Failed attempt",
        "attempt whose failure decides; empty: not failed",
        "count",
    ),
    moment("queued_at", "Queued at", "first seen queued; empty: not yet"),
    c.DELIVERED_AT,
    c.READ_AT,
    moment("finalized_at", "Final at", "when the outcome was known; empty: pending"),
    c.CLICKED_AT,
    c.AUTOMATED_CLICKED_AT,
    c.CONVERTED_AT,
    c.UNSUBSCRIBED_AT,
    text("repaired", "Repaired", "fields of its events that were wrong and mended or left out"),
)
_NEXT: Final = (
    text("next_step", "Next", "what happens next: a receipt, another attempt, or nothing"),
    text("why", "Why", "why this happens next"),
    c.NEXT_ATTEMPT_AT,
    Column(
        "sent_to_suppressed",
        "Bool",
        "Sent to a suppressed number",
        "whether its number was suppressed before it was sent",
        "flag",
    ),
    text(
        "suppressed",
        "Number suppressed now",
        "whether its number may not be sent to now by this channel, and by which messages",
    ),
    moment("suppressed_since", "Suppressed since", "when the suppression began; empty: it is not"),
    moment("suppressed_until", "Suppressed until", "when it expires; empty: until released"),
    text("suppression_reasons", "Suppressed for", "hard_bounces, unsubscribed, manual"),
)
_SENT: Final = (
    c.MESSAGE_ID,
    c.CHANNEL,
    c.DIRECTION,
    c.RECIPIENT,
    c.COUNTRY,
    c.SENDER,
    c.SENT_AT,
    c.SOURCE,
    c.CAMPAIGN_ID,
    c.MESSAGE_TYPE,
    c.TEMPLATE,
    c.CATEGORY,
    c.REFERENCE,
    c.SENT_BY,
    c.EXTERNAL_ID,
    c.EMAIL,
    c.PLATFORM,
    c.PROVIDER,
    c.PROVIDER_MESSAGE_ID,
    c.MCCMNC,
    c.MESSAGE_SEGMENTS,
    c.MESSAGE_CREDITS,
    c.PRICE,
    c.CURRENCY,
    c.CONTENT,
)
_ATTEMPTS: Final = (
    Column("attempt", "UInt16", "Attempt", "number of the attempt, from 1", "count"),
    moment(
        "requested_at", "Requested at", "when it was requested of the sender; empty: it was not"
    ),
    moment("due_at", "Due at", "when it was due; empty: it was not requested"),
    moment("sent_at", "Sent at", "when it was sent; empty: not yet, or not known"),
    c.count("receipts", "Receipts", "receipts about it that are kept"),
    text("statuses", "Statuses", "what these receipts gave, in the order of their time"),
    text("error_code", "Error code", "latest code of the provider; empty: none"),
    text("error_text", "Error text", "latest words of the provider; empty: none"),
    text("provider", "Provider", "provider of these receipts; empty: not given"),
    Column("decides", "Bool", "Decides", "whether its failure is that of the message", "flag"),
)
_TIMELINE: Final = (
    moment("at", "Time", "when it happened"),
    text(
        "event",
        "Event",
        "sent or received, receipt, retry requested, expired, click, click by a program,"
        " unsubscribe, resubscribe, conversion, strike, strike withdrawn, or a request about the"
        " number",
    ),
    text("status", "Status given", "status of the receipt, in our words"),
    Column(
        "reading",
        "String",
        "Our reading",
        "what the failure means by the receipt and our table of codes; empty: no failure",
        computed=reading_of,
    ),
    text("error_code", "Code given", "code of the provider"),
    text("error_text", "Words given", "words of the provider"),
    text(
        "attempt",
        "Attempt",
        "attempt it is about; not named: the latest one that is known to be sent before it",
    ),
    text("part", "Part", "part of a long message it is about; empty: the whole"),
    text("detail", "Detail", "link of a click; who decided about the number, and why"),
    *optional(
        text("provider", "Provider", "provider of the receipt; if not given, of the message"),
        moment("published_at", "Published at", "when its record was written to Kafka"),
        moment("received_at", "Received at", "when the publisher received the receipt"),
        text("bounce", "Bounce given", "soft or hard, as the receipt gives it"),
        text("scope", "Scope given", "whose fault, as the receipt gives it"),
        text("provider_message_id", "Provider's id", "id the provider gave the message"),
        text("recipient", "Recipient given", "number the receipt names"),
        text("mccmnc", "Network", "mobile country and network code"),
        Column(
            "price",
            "Nullable(Decimal(18, 6))",
            "Price given",
            "price it gives, with its sign; empty: none",
            "number",
        ),
        text("currency", "Currency", "ISO 4217 of the price"),
        text("repaired", "Repaired", "fields that were wrong and were mended or left out"),
        text("own_reason", "Account's reason", "reason of the account's settings for this code"),
        text(
            "own_meaning",
            "Account's meaning",
            "bounce, scope and reason of the account's settings for this code, as JSON",
        ),
    ),
    text("provider_status", "Provider's word", "status of the receipt in the provider's own word"),
)

MESSAGE: Final = Report(
    NAME,
    "Message",
    "One message as a whole: what was sent, every attempt and receipt, and what happens next.",
    FILTERS,
    (
        Section(
            NAME, "outcome", "What became of it", "Its present state.", "figures", _OUTCOME, FILTERS
        ),
        Section(
            NAME,
            "next",
            "What happens next",
            "The next step and its reason, and whether its number may be sent to.",
            "figures",
            _NEXT,
            FILTERS,
        ),
        Section(
            NAME,
            "sent",
            "What was sent",
            "The message as it was sent; nothing while only receipts of it are known.",
            "figures",
            _SENT,
            FILTERS,
        ),
        Section(
            NAME,
            "attempts",
            "Attempts",
            "One row for each attempt that is known.",
            "rows",
            _ATTEMPTS,
            FILTERS,
        ),
        Section(
            NAME,
            "timeline",
            "Timeline",
            "Everything that is known to have happened with it, the first event first; receipts as"
            " they came, as long as they are kept.",
            "rows",
            _TIMELINE,
            FILTERS,
        ),
    ),
)
