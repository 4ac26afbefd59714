"""Firetext: a status and, for failures, a code."""

from collections.abc import Iterator
from typing import Final

from models.providers.callback import Callback, Item, Options, Provider, by_key
from models.providers.fields import first, number, parameters, time_of
from models.providers.receipts import receipt

_STATUSES: Final = by_key({"0": "delivered", "1": "undelivered", "2": "sent"})


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    fields = parameters(callback)
    yield receipt(
        "firetext",
        options,
        provider_message_id=first(fields, "reference"),
        id_field="reference",
        word=first(fields, "status"),
        word_field="status",
        own=_STATUSES,
        recipient=number(fields.get("mobile")),
        error_code=first(fields, "code"),
        when=time_of(fields.get("time"), options.zone),
    )


PROVIDER: Final = Provider(
    name="firetext",
    title="Firetext",
    read=_read,
    setup="`receipt` of a message.",
    reference="`reference`, which is its only id.",
    missing="the zone of most times (Europe/London), the network, the price.",
    source="https://github.com/alphagov/notifications-api/blob/main/app/clients/sms/firetext.py",
)
