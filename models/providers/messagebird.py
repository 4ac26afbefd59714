"""MessageBird's status reports (GET or form), and events of Bird's Channels API."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Other, Provider, by_key
from models.providers.fields import (
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

_STATUSES: Final = by_key({"buffered": "sent", "scheduled": "queued"})


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    if not is_json(callback):
        yield _classic(parameters(callback), options)
        return
    for body in objects(json_of(callback)):
        payload = object_of(body.get("payload")) or object_of(body.get("message")) or body
        yield _classic(body, options) if "statusDatetime" in body else _bird(payload, options)


def _classic(fields: Mapping[str, Any], options: Options) -> Item:
    if "status" not in fields and ("body" in fields or "message" in fields):
        return Other("a message to us")
    price = object_of(fields.get("price"))
    amount = first(fields, "price[amount]", "priceAmount") or first(price, "amount")
    currency = first(fields, "price[currency]", "priceCurrency") or first(price, "currency")
    amount, currency = money(amount, currency)
    return receipt(
        "messagebird",
        options,
        provider_message_id=first(fields, "id"),
        id_field="id",
        word=first(fields, "status"),
        word_field="status",
        own=_STATUSES,
        reference=first(fields, "reference"),
        recipient=number(fields.get("recipient")),
        error_code=first(fields, "statusErrorCode"),
        words=first(fields, "statusReason"),
        when=time_of(_written_at(fields), options.zone),
        mccmnc=mccmnc(fields.get("mccmnc")),
        price=amount,
        currency=currency,
    )


def _written_at(fields: Mapping[str, Any]) -> str:
    """A plus that was not encoded in the query has become a space."""
    written = first(fields, "statusDatetime")
    return written.replace(" ", "+", 1) if "T" in written else written


def _bird(fields: Mapping[str, Any], options: Options) -> Item:
    if first(fields, "direction") == "incoming":
        return Other("a message to us")
    failure = object_of(fields.get("failure"))
    source = object_of(failure.get("source"))
    contacts = objects(object_of(fields.get("receiver")).get("contacts"))
    to: Mapping[str, Any] = next(contacts, {})
    return receipt(
        "messagebird",
        options,
        provider_message_id=first(fields, "id", "messageId"),
        id_field="id",
        word=first(fields, "status"),
        word_field="status",
        own=_STATUSES,
        reference=first(fields, "reference"),
        recipient=number(first(to, "identifierValue") or first(fields, "recipient", "to")),
        error_code=first(source, "code"),
        words=first(failure, "description") or first(fields, "reason"),
        when=time_of(first(fields, "lastStatusAt", "updatedAt", "createdAt"), options.zone),
    )


PROVIDER: Final = Provider(
    name="messagebird",
    title="MessageBird, Bird",
    read=_read,
    aliases=("bird",),
    setup="`reportUrl` of a message, or the account's status reports; a webhook of Bird's channel.",
    reference="`reference`.",
    missing="the time of the operator: `statusDatetime` is MessageBird's.",
    source="https://developers.messagebird.com/api/sms-messaging/#handle-status-reports",
)
