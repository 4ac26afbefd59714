"""Kaleyra: SMS and WhatsApp, by GET."""

from collections.abc import Iterator
from typing import Final

from models.providers.callback import Callback, Item, Options, Provider, by_key
from models.providers.fields import epoch, first, number, parameters, time_of
from models.providers.receipts import receipt

_STATUSES: Final = by_key(
    {
        "DNDNUMB": "rejected",
        "OPTOUT-REJ": "rejected",
        "INVALID-NUM": "undelivered",
        "deferred": "sent",
        "AWAITED-DLR": "sent",
    }
)


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    fields = parameters(callback)
    at = first(fields, "delivered_at", "deliveredtime", "timestamp", "time")
    yield receipt(
        "kaleyra",
        options,
        provider_message_id=first(fields, "id", "message_id"),
        id_field="id",
        word=first(fields, "status"),
        word_field="status",
        own=_STATUSES,
        reference=first(fields, "custom", "ref_id"),
        recipient=number(first(fields, "mobile", "to", "recipient")),
        error_code=first(fields, "error_code", "reason", "trace"),
        when=epoch(at) if at.isdecimal() else time_of(at, options.zone),
    )


PROVIDER: Final = Provider(
    name="kaleyra",
    title="Kaleyra",
    read=_read,
    setup="`callback_url` or `dlr_url` with the placeholders of id, status, mobile and reason.",
    reference="`custom`, where the URL has it.",
    missing="whatever the URL does not name.",
    source="https://developers.kaleyra.io/docs/sms-delivery-callback",
)
