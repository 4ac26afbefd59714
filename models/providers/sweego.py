"""Sweego: one event for each step of an SMS."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Other, Provider, by_key
from models.providers.fields import first, json_of, mccmnc, number, objects, time_of
from models.providers.receipts import receipt

_STATUSES: Final = by_key(
    {
        "sms_sent": "sent",
        "sms_delivered": "delivered",
        "sms_undelivered": "undelivered",
        "sms_bounced": "undelivered",
        "sms_failed": "undelivered",
        "sms_rejected": "rejected",
        "sms_expired": "undelivered",
        "sms_clicked": "read",
    }
)


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    for event in objects(json_of(callback)):
        yield _event(event, options)


def _event(event: Mapping[str, Any], options: Options) -> Item:
    word = first(event, "event_type")
    if word in ("sms_stop", "sms_inbound", "sms_received"):
        return Other(f"an event {word}")
    return receipt(
        "sweego",
        options,
        provider_message_id=first(event, "swg_uid"),
        id_field="swg_uid",
        word=word,
        word_field="event_type",
        own=_STATUSES,
        recipient=number(event.get("phone_number")),
        error_code=first(event, "error_code", "code"),
        words=first(event, "details", "description", "reason"),
        when=time_of(event.get("timestamp"), options.zone),
        mccmnc=mccmnc(event.get("mobile_country_code"), event.get("mobile_network_code")),
    )


PROVIDER: Final = Provider(
    name="sweego",
    title="Sweego",
    read=_read,
    setup="a webhook of the account for SMS events.",
    reference="nothing: publish the id that the send returned.",
    missing="the zone of its times; leading zeroes of the network code.",
    source="https://learn.sweego.io/docs/webhooks/webhook_sms",
)
