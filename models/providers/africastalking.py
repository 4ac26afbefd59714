"""Africa's Talking: delivery reports as forms."""

from collections.abc import Iterator
from typing import Final

from models.providers.callback import Callback, Item, Options, Provider, by_key
from models.providers.fields import first, mccmnc, number, parameters
from models.providers.receipts import receipt

_STATUSES: Final = by_key(
    {
        "submitted": "sent",
        "absent subscriber": "undelivered",
        "user in blacklist": "rejected",
        "could not route": "undelivered",
    }
)


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    fields = parameters(callback)
    yield receipt(
        "africastalking",
        options,
        provider_message_id=first(fields, "id"),
        id_field="id",
        word=first(fields, "status"),
        word_field="status",
        own=_STATUSES,
        recipient=number(fields.get("phoneNumber")),
        error_code=first(fields, "failureReason"),
        mccmnc=mccmnc(fields.get("networkCode")),
    )


PROVIDER: Final = Provider(
    name="africastalking",
    title="Africa's Talking",
    read=_read,
    aliases=("africas-talking",),
    setup="*SMS → SMS Callback URLs → Delivery Reports*.",
    reference="nothing: publish the id that the send returned.",
    missing="the time.",
    source="https://developers.africastalking.com/docs/sms/notifications",
)
