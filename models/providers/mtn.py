"""MTN and OneAPI (GSMA): words of OneAPI mixed with those of SMPP."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Provider
from models.providers.fields import first, json_of, number, object_of, objects, time_of
from models.providers.receipts import receipt


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    for body in objects(json_of(callback)):
        notice = object_of(body.get("deliveryInfoNotification")) or body
        infos = list(objects(notice.get("deliveryInfo")))
        for info in infos or [notice]:
            yield _one({**notice, **info}, options)


def _one(fields: Mapping[str, Any], options: Options) -> Item:
    address = first(fields, "receiverAddress", "address", "msisdn", "recipient")
    return receipt(
        "mtn",
        options,
        provider_message_id=first(
            fields, "TransactionID", "transactionId", "requestId", "resourceURL", "callbackData"
        ),
        id_field="TransactionID",
        word=first(fields, "deliveryStatus", "status"),
        word_field="deliveryStatus",
        recipient=number(address.removeprefix("tel:")),
        when=time_of(first(fields, "timestamp", "deliveryTime"), options.zone),
        codes="smpp",
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
)
