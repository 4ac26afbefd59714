"""Vonage: receipts of the SMS API (GET, form or JSON) and of the Messages API."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Other, Provider, by_key
from models.providers.fields import (
    digits_time,
    first,
    is_json,
    json_of,
    mccmnc,
    money,
    number,
    object_of,
    objects,
    parameters,
    time_of,
)
from models.providers.receipts import receipt

_SMS: Final = by_key({"accepted": "sent", "buffered": "sent"})
#: Prices of the SMS API are in the currency of all Vonage accounts.
_CURRENCY: Final = "EUR"


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    if is_json(callback):
        for fields in objects(json_of(callback)):
            yield _either(fields, options)
    else:
        yield _either(parameters(callback), options)


def _either(fields: Mapping[str, Any], options: Options) -> Item:
    if "message_uuid" in fields or "message-uuid" in fields:
        return _message(fields, options)
    return _sms(fields, options)


def _sms(fields: Mapping[str, Any], options: Options) -> Item:
    if "status" not in fields and ("text" in fields or "keyword" in fields):
        return Other("a message to us")
    pushed = time_of(first(fields, "message-timestamp") + "+00:00")
    carrier = digits_time(fields.get("scts"), options.zone)
    price, currency = money(fields.get("price"), fields.get("currency") or _CURRENCY)
    return receipt(
        "vonage",
        options,
        provider_message_id=first(fields, "messageId", "message-id", "messageid"),
        id_field="messageId",
        word=first(fields, "status"),
        word_field="status",
        own=_SMS,
        reference=first(fields, "client-ref", "clientRef"),
        recipient=number(fields.get("msisdn")),
        error_code=first(fields, "err-code", "errCode"),
        when=pushed if pushed.at is not None else carrier,
        mccmnc=mccmnc(fields.get("network-code")),
        price=price,
        currency=currency,
    )


def _message(fields: Mapping[str, Any], options: Options) -> Item:
    if "status" not in fields and "message_type" in fields:
        return Other("a message to us")
    error, usage = object_of(fields.get("error")), object_of(fields.get("usage"))
    destination, to = object_of(fields.get("destination")), fields.get("to")
    price, currency = money(usage.get("price"), usage.get("currency"))
    return receipt(
        "vonage",
        options,
        provider_message_id=first(fields, "message_uuid", "message-uuid"),
        id_field="message_uuid",
        word=first(fields, "status"),
        word_field="status",
        reference=first(fields, "client_ref", "client-ref"),
        recipient=number(object_of(to).get("number") if isinstance(to, dict) else to),
        error_code=_code(error),
        words=first(error, "detail", "reason"),
        when=time_of(fields.get("timestamp"), options.zone),
        mccmnc=mccmnc(destination.get("network_code")),
        price=price,
        currency=currency,
    )


def _code(error: Mapping[str, Any]) -> str:
    """The code is the title, or the end of the type's URL; older callbacks have `code`."""
    for name in ("title", "code"):
        if (code := first(error, name)).isdecimal():
            return code
    return first(error, "type").rpartition("#")[2][:64] if "#" in first(error, "type") else ""


PROVIDER: Final = Provider(
    name="vonage",
    title="Vonage",
    read=_read,
    aliases=("nexmo",),
    setup="*Delivery receipts* of the account (SMS API), *Status URL* of the application "
    "(Messages API).",
    reference="`client-ref` (SMS API), `client_ref` (Messages API).",
    missing="a receipt after 72 hours; any callback when a time to live ran out (Messages API).",
    source="https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts",
)
