"""Meta's WhatsApp Cloud API: batches of entries, changes and statuses."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Inbound, Item, Options, Other, Provider, Unread
from models.providers.fields import epoch, first, json_of, number, object_of, objects
from models.providers.receipts import receipt

_STATUSES: Final = {"played": "read", "failed": "undelivered", "deleted": "deleted"}


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    body = object_of(json_of(callback))
    entries = body.get("entry")
    if not isinstance(entries, list):
        yield Unread("entry: a list is expected")
        return
    for entry in objects(entries):
        for change in objects(entry.get("changes")):
            yield from _change(change, options)


def _change(change: Mapping[str, Any], options: Options) -> Iterator[Item]:
    value, field = object_of(change.get("value")), first(change, "field") or "messages"
    if field != "messages":
        yield Other(f"an event {field}")
        return
    for status in objects(value.get("statuses")):
        yield _status(status, options)
    for message in objects(value.get("messages")):
        yield _message(message)
    for error in objects(value.get("errors")):
        yield Other(f"error {first(error, 'code')} of the account: {first(error, 'title')}")


def _message(message: Mapping[str, Any]) -> Item:
    sender = number(message.get("from")) or first(message, "from", "from_user_id")[:32]
    if not first(message, "id") or not sender:
        return Unread("messages: id and from expected", first(message, "id"))
    text = first(object_of(message.get("text")), "body")
    return Inbound(first(message, "id"), sender, text, epoch(message.get("timestamp")).at)


def _status(status: Mapping[str, Any], options: Options) -> Item:
    errors = list(objects(status.get("errors"))) or [{}]
    details = object_of(errors[0].get("error_data"))
    return receipt(
        "whatsapp",
        options,
        provider_message_id=first(status, "id"),
        id_field="statuses.id",
        word=first(status, "status"),
        word_field="statuses.status",
        own=_STATUSES,
        reference=first(status, "biz_opaque_callback_data"),
        recipient=number(status.get("recipient_id")) or number(status.get("recipient_user_id")),
        error_code=first(errors[0], "code"),
        words=first(details, "details") or first(errors[0], "title", "message"),
        when=epoch(status.get("timestamp")),
    )


PROVIDER: Final = Provider(
    name="whatsapp",
    title="WhatsApp Cloud API (Meta)",
    read=_read,
    aliases=("meta", "whatsapp-cloud"),
    setup="a webhook of the app with the field `messages`.",
    reference="`biz_opaque_callback_data`.",
    missing="the price (only its category); `read` where the person has turned it off.",
    source="https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components",
)
