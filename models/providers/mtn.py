"""MTN and OneAPI (GSMA): words of OneAPI mixed with those of SMPP."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Provider
from models.providers.fields import first, json_of, number, object_of, objects, picked, time_of
from models.providers.receipts import receipt

_CODES: Final = "smpp"
#: What `_one` reads.
_ID: Final = ("TransactionID", "transactionId", "requestId", "resourceURL", "callbackData")
_ADDRESS: Final = ("receiverAddress", "address", "msisdn", "recipient")
_STATUS: Final = ("deliveryStatus", "status")
_TIME: Final = ("timestamp", "deliveryTime")
_NAMES: Final = (*_ID, *_ADDRESS, *_STATUS, *_TIME)


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    for body in objects(json_of(callback)):
        notice = object_of(body.get("deliveryInfoNotification")) or body
        infos = list(objects(notice.get("deliveryInfo")))
        shared = picked(notice, _NAMES)
        for info in infos or [notice]:
            yield _one({**shared, **info}, options)


def _one(fields: Mapping[str, Any], options: Options) -> Item:
    address = first(fields, *_ADDRESS)
    return receipt(
        "mtn",
        options,
        provider_message_id=first(fields, *_ID),
        id_field="TransactionID",
        word=first(fields, *_STATUS),
        word_field="deliveryStatus",
        recipient=number(address.removeprefix("tel:")),
        when=time_of(first(fields, *_TIME), options.zone),
        codes=_CODES,
    )


PROVIDER: Final = Provider(
    name="mtn",
    title="MTN, OneAPI",
    read=_read,
    aliases=("oneapi",),
    setup="`notifyURL` of a subscription to delivery reports.",
    reference="nothing that is the sender's for sure: publish the id that the send returned.",
    missing="the recipient, the time and the cause.",
    source="https://developers.mtn.com/products/sms-v3-api",
    codes=_CODES,
)
