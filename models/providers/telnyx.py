"""Telnyx: events of messages, API v2."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Other, Provider, Unread, by_key
from models.providers.fields import first, json_of, money, number, object_of, objects, text, time_of
from models.providers.receipts import receipt

_STATUSES: Final = by_key(
    {
        "delivery_unconfirmed": "unknown",
        "sending_failed": "rejected",
        "delivery_failed": "undelivered",
        "gw_timeout": "undelivered",
    }
)
#: Statuses of `to` by the event, where a callback lacks them.
_BY_EVENT: Final = {"message.sent": "sent", "message.read": "read"}


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    for body in objects(json_of(callback)):
        yield from _event(object_of(body.get("data")) or body, options)


def _event(event: Mapping[str, Any], options: Options) -> Iterator[Item]:
    payload, kind = object_of(event.get("payload")), first(event, "event_type")
    if kind == "message.received" or first(payload, "direction") == "inbound":
        yield Other("a message to us")
        return
    if kind and not kind.startswith("message."):
        yield Other(f"an event {kind}")
        return
    recipients = list(objects(payload.get("to")))
    if not recipients:
        yield Unread("payload.to: missing", first(payload, "id"))
    error: Mapping[str, Any] = next(objects(payload.get("errors")), {})
    for to in recipients:
        yield _recipient(event, payload, error, to, options)


def _recipient(
    event: Mapping[str, Any],
    payload: Mapping[str, Any],
    error: Mapping[str, Any],
    to: Mapping[str, Any],
    options: Options,
) -> Item:
    cost = object_of(payload.get("cost"))
    price, currency = money(cost.get("amount"), cost.get("currency"))
    tags = payload.get("tags")
    occurred = first(event, "occurred_at") or first(payload, "completed_at", "sent_at")
    return receipt(
        "telnyx",
        options,
        provider_message_id=first(payload, "id"),
        id_field="payload.id",
        word=first(to, "status") or _BY_EVENT.get(first(event, "event_type"), ""),
        word_field="payload.to.status",
        own=_STATUSES,
        reference=text(tags[0]) if isinstance(tags, list) and tags else "",
        recipient=number(to.get("phone_number")),
        error_code=first(error, "code") or first(to, "error_code"),
        words=first(error, "title", "detail") or first(to, "error_message"),
        when=time_of(occurred, options.zone),
        price=price,
        currency=currency,
    )


PROVIDER: Final = Provider(
    name="telnyx",
    title="Telnyx",
    read=_read,
    setup="*Webhook URL* of the messaging profile, API version 2, or `webhook_url` of a message.",
    reference="the first of `tags`.",
    missing="the network code; `delivery_unconfirmed` is the end and decides nothing.",
    source="https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks",
)
