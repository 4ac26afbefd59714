"""Sinch: batch and recipient reports of the SMS API, and events of the Conversation API."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Other, Provider, Unread, by_key
from models.providers.fields import (
    When,
    first,
    json_of,
    mccmnc,
    number,
    object_of,
    objects,
    picked,
    text,
    time_of,
)
from models.providers.receipts import receipt

#: What `_recipient` reads.
_OF_RECIPIENT: Final = (
    "type", "batch_id", "status", "client_reference", "code", "operator_status_at", "at", "operator"
)  # fmt: skip
_STATUSES: Final = by_key({"aborted": "rejected", "switching_channel": "queued"})


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    for body in objects(json_of(callback)):
        if "message_delivery_report" in body:
            yield _conversation(body, options)
        elif "statuses" in body:
            yield from _batch(body, options)
        elif "status" in body or "batch_id" in body:
            yield _recipient(body, options)
        elif "message" in body or "body" in body:
            yield Other("a message to us")
        else:
            yield Unread("status: missing")


def _batch(body: Mapping[str, Any], options: Options) -> Iterator[Item]:
    """A report of several recipients; a summary names none of them, so it is about no message."""
    named, shared = 0, picked(body, _OF_RECIPIENT)
    for status in objects(body.get("statuses")):
        recipients, own = status.get("recipients"), picked(status, _OF_RECIPIENT)
        for recipient in recipients if isinstance(recipients, list) else ():
            named += 1
            yield _recipient({**shared, **own, "recipient": recipient}, options)
    if not named:
        yield Other("a summary of a batch, without recipients")


def _recipient(fields: Mapping[str, Any], options: Options) -> Item:
    parts = first(fields, "type")
    return receipt(
        "sinch",
        options,
        provider_message_id=first(fields, "batch_id"),
        id_field="batch_id",
        word=first(fields, "status"),
        word_field="status",
        own=_STATUSES,
        reference=first(fields, "client_reference"),
        recipient=number(fields.get("recipient")),
        error_code=text(fields.get("code")),
        when=_when(fields, options),
        mccmnc=mccmnc(fields.get("operator")) if "report" in parts else "",
    )


def _when(fields: Mapping[str, Any], options: Options) -> When:
    found = time_of(fields.get("operator_status_at"), options.zone)
    return found if found.at is not None else time_of(fields.get("at"), options.zone)


def _conversation(body: Mapping[str, Any], options: Options) -> Item:
    report = object_of(body.get("message_delivery_report"))
    reason, identity = object_of(report.get("reason")), object_of(report.get("channel_identity"))
    return receipt(
        "sinch",
        options,
        provider_message_id=first(report, "message_id"),
        id_field="message_delivery_report.message_id",
        word=first(report, "status"),
        word_field="message_delivery_report.status",
        own=_STATUSES,
        reference=first(report, "metadata") or first(body, "message_metadata"),
        recipient=number(identity.get("identity")),
        error_code=first(reason, "channel_code", "sub_code", "code"),
        words=first(reason, "description"),
        when=time_of(first(body, "event_time", "accepted_time"), options.zone),
    )


PROVIDER: Final = Provider(
    name="sinch",
    title="Sinch",
    read=_read,
    by_recipient=True,
    setup="`callback_url` with `delivery_report` per_recipient or full; a webhook of the "
    "Conversation API with MESSAGE_DELIVERY.",
    reference="`client_reference`; `message_metadata` of the Conversation API.",
    missing="the price; recipients in a report of kind summary, which is about no message.",
    source="https://developers.sinch.com/docs/sms/api-reference/sms/tag/Delivery-reports/",
)
