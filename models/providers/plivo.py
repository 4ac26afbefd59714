"""Plivo: one callback for each part of a message."""

import re
from collections.abc import Iterator
from typing import Final

from models.providers.callback import Callback, Item, Options, Provider, by_key
from models.providers.fields import first, mccmnc, money, number, parameters, time_of, whole
from models.providers.receipts import receipt

_STATUSES: Final = by_key({"failed": "rejected"})
_PART: Final = re.compile(r"(\d{1,3}) of (\d{1,3})")


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    fields = parameters(callback)
    price, currency = money(fields.get("TotalRate"), "USD")
    part = _PART.fullmatch(first(fields, "PartInfo"))
    word, code = first(fields, "Status", "status"), first(fields, "ErrorCode")
    yield receipt(
        "plivo",
        options,
        provider_message_id=first(fields, "ParentMessageUUID", "MessageUUID"),
        id_field="MessageUUID",
        word=word,
        word_field="Status",
        own=_STATUSES,
        recipient=number(fields.get("To")),
        error_code=code,
        when=time_of(first(fields, "DeliveryReportTime", "SentTime"), options.zone),
        part=whole(part[1]) if part else 0,
        parts=whole(part[2]) if part else 0,
        mccmnc=mccmnc(fields.get("MCC"), fields.get("MNC")),
        price=price,
        currency=currency,
    )


PROVIDER: Final = Provider(
    name="plivo",
    title="Plivo",
    read=_read,
    setup="`url` of a message.",
    reference="nothing; put account and message id into the callback's URL, which is signed.",
    missing="the zone of its times.",
    source="https://www.plivo.com/docs/messaging/concepts/message-status-callbacks",
)
