"""AWS: End User Messaging, Pinpoint v1 and delivery logs of SNS, each also in SNS's envelope."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Other, Provider, Unread
from models.providers.fields import (
    Malformed,
    epoch,
    first,
    json_of,
    json_text,
    mccmnc,
    money,
    number,
    object_of,
    objects,
    time_of,
)
from models.providers.receipts import receipt

#: SNS delivers at most this many records in one envelope, and an envelope has no other in it.
_DEEPEST: Final = 3
_V1: Final = {"SUCCESS": "delivered", "BUFFERED": "sent", "FAILURE": "undelivered"}


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    yield from _any(json_of(callback), options, _DEEPEST)


def _any(value: Any, options: Options, deeper: int) -> Iterator[Item]:
    for body in objects(value):
        if "Type" in body and ("TopicArn" in body or "Message" in body):
            yield from _envelope(body, options, deeper)
        elif "Records" in body and deeper:
            for record in objects(body["Records"]):
                yield from _any(object_of(record.get("Sns")) or record, options, deeper - 1)
        elif "eventType" in body:
            yield _event(body, options)
        elif "event_type" in body:
            yield _pinpoint(body, options)
        elif "notification" in body:
            yield _log(body, options)
        else:
            yield Unread("eventType: missing")


def _envelope(body: Mapping[str, Any], options: Options, deeper: int) -> Iterator[Item]:
    kind = first(body, "Type")
    if kind != "Notification":
        yield Other(f"{kind} of SNS")
        return
    try:
        message = json_text(body.get("Message"))
    except Malformed:
        yield Unread("Message: not JSON")
        return
    if not deeper:
        yield Unread("Message: too many envelopes")
        return
    yield from _any(message, options, deeper - 1)


def _event(body: Mapping[str, Any], options: Options) -> Item:
    kind, context = first(body, "eventType"), object_of(body.get("context"))
    if not kind.startswith(("TEXT_", "MEDIA_", "RCS_", "SMS_")):
        return Other(f"an event {kind}")
    word = kind.partition("_")[2]
    price, currency = money(body.get("totalMessagePrice"), "USD")
    final = body.get("isFinal") is True
    failed = word not in _NOT_FAILED
    return receipt(
        "aws",
        options,
        provider_message_id=first(body, "messageId"),
        id_field="messageId",
        word=word,
        word_field="eventType",
        status="delivered" if word == "SUCCESSFUL" and final else "",
        reference=first(context, "reference", "message_id", "messageId"),
        recipient=number(body.get("destinationPhoneNumber")),
        error_code=(first(body, "messageStatus") or word) if failed else "",
        words=first(body, "messageStatusDescription") if failed else "",
        when=epoch(body.get("eventTimestamp")),
        mccmnc=mccmnc(body.get("mcc"), body.get("mnc")),
        price=price,
        currency=currency,
    )


_NOT_FAILED: Final = frozenset(
    {"QUEUED", "PENDING", "SENT", "SUCCESSFUL", "DELIVERED", "READ", "UNKNOWN"}
)


def _pinpoint(body: Mapping[str, Any], options: Options) -> Item:
    attributes, metrics = object_of(body.get("attributes")), object_of(body.get("metrics"))
    kind, context = first(body, "event_type"), object_of(body.get("client_context"))
    if not kind.startswith("_SMS."):
        return Other(f"an event {kind}")
    word, ending = first(attributes, "record_status"), kind.removeprefix("_SMS.")
    if ending in ("RECEIVED", "OPTOUT"):
        return Other(f"an event {kind}")
    millicents = first(metrics, "price_in_millicents_usd")
    cents = f"{millicents}e-5" if millicents else ""
    price, currency = money(cents, "USD")
    failed = ending == "FAILURE"
    status = "delivered" if word in ("SUCCESS", "DELIVERED") else ""
    if not word:
        status = "delivered" if ending == "DELIVERED" else _V1.get(ending, "")
    custom = object_of(context.get("custom"))
    return receipt(
        "aws",
        options,
        provider_message_id=first(attributes, "message_id"),
        id_field="attributes.message_id",
        word=word or ending,
        word_field="attributes.record_status",
        status=status,
        reference=first(attributes, "reference") or first(custom, "reference"),
        recipient=number(attributes.get("destination_phone_number")),
        error_code=(word or ending) if failed else "",
        words=first(attributes, "status_description") if failed else "",
        when=epoch(body.get("event_timestamp")),
        mccmnc=mccmnc(first(attributes, "mcc_mnc")),
        price=price,
        currency=currency,
    )


def _log(body: Mapping[str, Any], options: Options) -> Item:
    notification, delivery = object_of(body["notification"]), object_of(body.get("delivery"))
    word = first(body, "status")
    price, currency = money(delivery.get("priceInUSD"), "USD")
    failed = word == "FAILURE"
    return receipt(
        "aws",
        options,
        provider_message_id=first(notification, "messageId"),
        id_field="notification.messageId",
        word=word,
        word_field="status",
        recipient=number(delivery.get("destination")),
        words=first(delivery, "providerResponse") if failed else "",
        when=time_of(notification.get("timestamp"), options.zone),
        mccmnc=mccmnc(delivery.get("mcc"), delivery.get("mnc")),
        price=price,
        currency=currency,
    )


PROVIDER: Final = Provider(
    name="aws",
    title="AWS End User Messaging, Pinpoint, SNS",
    read=_read,
    aliases=("sns", "pinpoint", "aws-sns"),
    setup="an event destination of the configuration set: an SNS topic with an HTTPS subscription.",
    reference="`reference` of `Context`.",
    missing="the zone of times in SNS's logs, and codes there: sentences only.",
    source="https://docs.aws.amazon.com/sms-voice/latest/userguide/configuration-sets-event-format.html",
)
