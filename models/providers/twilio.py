"""Twilio's status callbacks: SMS, WhatsApp and RCS."""

from collections.abc import Iterator
from typing import Final

from models.providers.callback import Callback, Item, Options, Other, Provider, by_key
from models.providers.fields import digits_time, first, money, number, parameters
from models.providers.receipts import receipt

_STATUSES: Final = by_key({"accepted": "queued", "delivery_unknown": "unknown"})
_INBOUND: Final = frozenset({"received", "receiving"})


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    fields = parameters(callback)
    word = first(fields, "MessageStatus", "SmsStatus")
    if word.lower() in _INBOUND:
        yield Other("a message to us")
        return
    done = digits_time(fields.get("RawDlrDoneDate"), options.zone)
    price, currency = money(fields.get("Price"), fields.get("PriceUnit"))
    yield receipt(
        "twilio",
        options,
        provider_message_id=first(fields, "MessageSid", "SmsSid", "SmsMessageSid"),
        id_field="MessageSid",
        word=word,
        word_field="MessageStatus",
        own=_STATUSES,
        recipient=number(fields.get("To")),
        error_code=first(fields, "ErrorCode"),
        words=first(fields, "ErrorMessage", "ChannelStatusMessage"),
        when=done,
        price=price,
        currency=currency,
    )


PROVIDER: Final = Provider(
    name="twilio",
    title="Twilio",
    read=_read,
    aliases=("twiml",),
    setup="`StatusCallback` of a message or of the messaging service.",
    reference="nothing; put account and message id into the callback's URL, which is signed.",
    missing="the time, but for some networks (without zone); the network; the price.",
    source="https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks",
)
