"""MMG: a status and a substatus, whose meaning depends on the status."""

from collections.abc import Iterator
from typing import Final

from models.providers.callback import Callback, Item, Options, Provider
from models.providers.fields import first, number, parameters, time_of
from models.providers.receipts import receipt

_STATUSES: Final = {"2": "undelivered", "3": "delivered", "4": "undelivered", "5": "rejected"}
_TO_OPERATOR: Final = ("3", "2")
#: Bounce and scope of substatuses that mean something else under another status.
_BY_BOTH: Final = {
    ("2", "11"): ("hard", "recipient"),  # service of the subscriber suspended
    ("4", "6"): ("soft", "recipient"),  # absent subscriber
    ("4", "8"): ("soft", "recipient"),  # roaming not allowed
    ("4", "13"): ("soft", "recipient"),  # call barred
    ("5", "6"): ("soft", "network"),  # network out of coverage
    ("5", "8"): ("hard", "recipient"),  # incorrect prefix of the number
    ("5", "11"): ("hard", "sender"),  # sender not registered
    ("5", "13"): ("hard", "sender"),  # sender on a blocked list
}


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    fields = parameters(callback)
    status, substatus = first(fields, "status"), first(fields, "substatus")
    failed = status in ("2", "4", "5")
    bounce, scope = _BY_BOTH.get((status, substatus), ("", ""))
    yield receipt(
        "mmg",
        options,
        provider_message_id=first(fields, "reference"),
        id_field="reference",
        word=f"{status}-{substatus}" if failed and substatus else status,
        word_field="status",
        status="sent" if (status, substatus) == _TO_OPERATOR else _STATUSES.get(status, ""),
        reference=first(fields, "CID", "cid"),
        recipient=number(first(fields, "MSISDN", "msisdn")),
        bounce=bounce,
        scope=scope,
        error_code=substatus,
        when=time_of(first(fields, "deliverytime"), options.zone),
    )


PROVIDER: Final = Provider(
    name="mmg",
    title="MMG",
    read=_read,
    setup="`delurl` of a message, or the account's URL for delivery reports.",
    reference="`CID`.",
    missing="the zone of its times (Europe/London), the network, the price.",
    source="https://github.com/alphagov/notifications-api/blob/main/app/clients/sms/mmg.py",
)
