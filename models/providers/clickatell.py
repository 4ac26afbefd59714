"""Clickatell: numbers of the classic APIs, words of the One API."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Other, Provider, by_key
from models.providers.fields import (
    epoch,
    first,
    is_json,
    json_of,
    number,
    object_of,
    objects,
    parameters,
)
from models.providers.receipts import receipt

#: 4 is "received by the recipient" in some documents and "by the gateway" in others: an endpoint
#: may say that it is delivered.
_STATUSES: Final = {
    "1": "unknown",
    "2": "queued",
    "3": "sent",
    "4": "sent",
    "5": "undelivered",
    "6": "deleted",
    "7": "undelivered",
    "8": "sent",
    "9": "undelivered",
    "10": "undelivered",
    "11": "queued",
    "12": "rejected",
    "13": "deleted",
    "14": "undelivered",
    "RECEIVED_BY_RECIPIENT": "delivered",
    "STOPPED_BY_USER": "deleted",
    "STOPPED_BY_ADMIN": "deleted",
    "INSUFFICIENT_ACCOUNT_BALANCE": "rejected",
    "VOLUME_LIMIT": "undelivered",
    "VOLUME_LIMIT_DAILY": "undelivered",
    "VOLUME_LIMIT_MONTHLY": "undelivered",
    "RECIPIENT_DOES_NOT_EXIST": "undelivered",
    "MEDIA_NOT_FOUND": "rejected",
    "MEDIA_SIZE_ERROR": "rejected",
    "MEDIA_CHECKSUM_FAILURE": "rejected",
    "MEDIA_REJECTED_BY_SUPPLIER": "rejected",
}
_BY_KEY: Final = by_key(_STATUSES)
_FAILED: Final = frozenset(
    word for word, status in _STATUSES.items() if status in ("undelivered", "rejected")
)


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    if not is_json(callback):
        yield _one(parameters(callback), options)
        return
    for body in objects(json_of(callback)):
        event = object_of(body.get("event"))
        if any(name.startswith("moText") for name in event) or "moText" in body:
            yield Other("a message to us")
            continue
        updates = [each for value in event.values() for each in objects(value)]
        for update in updates or [object_of(body.get("data")) or body]:
            yield _one(update, options)


def _one(fields: Mapping[str, Any], options: Options) -> Item:
    word = first(fields, "status", "messageStatus", "statusCode")
    number_of_status = first(fields, "statusCode", "messageStatus", "status").lstrip("0")
    key = word if word.upper() in _STATUSES else number_of_status or word
    return receipt(
        "clickatell",
        options,
        provider_message_id=first(fields, "messageId", "apiMsgId", "apiMessageId", "apimsgid"),
        id_field="messageId",
        word=key,
        word_field="statusCode",
        own=_BY_KEY,
        reference=first(fields, "clientMessageId", "cliMsgId", "climsgid"),
        recipient=number(first(fields, "to", "channelIdentifier")),
        error_code=key if key.upper() in _FAILED else "",
        words=first(fields, "statusDescription", "error") if key.upper() in _FAILED else "",
        when=epoch(fields.get("timestamp")),
    )


PROVIDER: Final = Provider(
    name="clickatell",
    title="Clickatell",
    read=_read,
    setup="the callback URL of the API or of the integration.",
    reference="`clientMessageId`, `cliMsgId`.",
    missing="the network code, the price; what status 4 means differs: set it in `statuses`.",
    source="https://archive.clickatell.com/developers/api-docs/message-status-codes/",
)
