"""Meta's WhatsApp Cloud API: batches of entries, changes and statuses."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import (
    Callback,
    Inbound,
    Item,
    Options,
    Other,
    Provider,
    Unread,
    by_key,
)
from models.providers.fields import epoch, first, json_of, number, object_of, objects, text
from models.providers.receipts import receipt

#: It becomes the id of a message, and its text that of one (models/contract.py).
MAX_INBOUND_ID: Final = 128
MAX_TEXT: Final = 32_768
_STATUSES: Final = by_key({"played": "read", "failed": "undelivered", "deleted": "deleted"})


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
    provider_message_id = first(message, "id")
    sender = number(message.get("from")) or first(message, "from", "from_user_id")[:32]
    if not 1 <= len(provider_message_id) <= MAX_INBOUND_ID or not provider_message_id.isprintable():
        return Unread(f"messages.id: 1 to {MAX_INBOUND_ID} printable characters expected")
    if not sender.isprintable() or not sender:
        return Unread("messages.from: a number or a user id expected", provider_message_id)
    words = text(object_of(message.get("text")).get("body"), MAX_TEXT)
    return Inbound(provider_message_id, sender, words, epoch(message.get("timestamp")).at)


def _status(status: Mapping[str, Any], options: Options) -> Item:
    error: Mapping[str, Any] = next(objects(status.get("errors")), {})
    details = object_of(error.get("error_data"))
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
        error_code=first(error, "code"),
        words=first(details, "details") or first(error, "title", "message"),
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
