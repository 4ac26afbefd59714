"""Bandwidth: lists of message events. One message id may have several recipients."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Other, Provider, by_key
from models.providers.fields import first, json_of, number, object_of, objects, time_of
from models.providers.receipts import receipt

_FAILED: Final = "message-failed"
_STATUSES: Final = by_key({"message-sent": "sent", "message-read": "read"})


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    for event in objects(json_of(callback)):
        yield _event(event, options)


def _event(event: Mapping[str, Any], options: Options) -> Item:
    word, message = first(event, "type"), object_of(event.get("message"))
    if word == "message-received" or first(message, "direction") == "in":
        return Other("a message to us")
    failed = word == _FAILED
    return receipt(
        "bandwidth",
        options,
        provider_message_id=first(message, "id"),
        id_field="message.id",
        word=word,
        word_field="type",
        own=_STATUSES,
        reference=first(message, "tag"),
        recipient=number(event.get("to")),
        error_code=first(event, "errorCode"),
        words=first(event, "description") if failed else "",
        when=time_of(event.get("time"), options.zone),
    )


PROVIDER: Final = Provider(
    name="bandwidth",
    title="Bandwidth",
    read=_read,
    by_recipient=True,
    setup="the callback URL for outbound messages of the application.",
    reference="`tag`.",
    missing="the network code, the price, and which part a receipt is about.",
    source="https://dev.bandwidth.com/docs/messaging/webhooks/",
)
