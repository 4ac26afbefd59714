"""Infobip: reports of SMS (v1 to v3), WhatsApp, the Messages API, and seen reports."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.codes import code_of
from models.providers.callback import Callback, Item, Options, Other, Provider, Unread
from models.providers.fields import (
    first,
    json_of,
    mccmnc,
    money,
    number,
    object_of,
    time_of,
)
from models.providers.receipts import receipt

#: By the id of the status, where its group means something else.
_BY_STATUS: Final = {
    "2": "sent",  # DELIVERED_TO_OPERATOR
    "26": "submitted",  # PENDING_ACCEPTED
    "29": "unknown",  # EXPIRED_DLR_UNKNOWN
    "87": "rejected",  # SIGNALS_BLOCKED, which is in two groups
}
_BY_GROUP: Final = {
    "PENDING": "sent",
    "UNDELIVERABLE": "undelivered",
    "DELIVERED": "delivered",
    "EXPIRED": "undelivered",
    "REJECTED": "rejected",
    "OK": "delivered",
}
_GROUP_NAMES: Final = {
    "0": "OK",
    "1": "PENDING",
    "2": "UNDELIVERABLE",
    "3": "DELIVERED",
    "4": "EXPIRED",
    "5": "REJECTED",
}


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    body = object_of(json_of(callback))
    results = body.get("results")
    if not isinstance(results, list):
        yield Unread("results: a list is expected")
        return
    for result in results:
        if isinstance(result, dict):
            yield _one(result, options)
        else:
            yield Unread("results: objects are expected")


def _one(result: Mapping[str, Any], options: Options) -> Item:
    status, error = object_of(result.get("status")), object_of(result.get("error"))
    seen = first(result, "seenAt", "readAt")
    if "status" not in result and not seen and ("text" in result or "message" in result):
        return Other("a message to us")
    group = first(status, "groupName").upper() or _GROUP_NAMES.get(first(status, "groupId"), "")
    code = first(error, "id")
    bounce = _bounce(group, code, error)
    price = object_of(result.get("price"))
    amount, currency = money(price.get("pricePerMessage"), price.get("currency"))
    return receipt(
        "infobip",
        options,
        provider_message_id=first(result, "messageId"),
        id_field="messageId",
        word="seen" if seen and not status else first(status, "name") or group,
        word_field="status",
        status=_status(first(status, "id"), group, bounce),
        reference=first(result, "callbackData"),
        recipient=number(first(result, "to", "destination", "recipient")),
        bounce=bounce,
        error_code=code,
        words=first(error, "description") if code != "0" else "",
        when=time_of(seen or first(result, "doneAt", "updatedAt"), options.zone),
        mccmnc=mccmnc(first(result, "mccMnc").replace("-", "")),
        price=amount,
        currency=currency,
    )


def _status(number_of_status: str, group: str, bounce: str) -> str:
    status = _BY_STATUS.get(number_of_status) or _BY_GROUP.get(group, "")
    # Nothing is known of the code but that the message will not arrive: not the number's fault.
    return "rejected" if status == "undelivered" and bounce == "hard" else status


def _bounce(group: str, code: str, error: Mapping[str, Any]) -> str:
    """By the group, or by `permanent` where the table does not know the code."""
    if group == "EXPIRED":
        return "soft"
    permanent = error.get("permanent")
    if code in ("", "0") or not isinstance(permanent, bool) or code_of("infobip", code):
        return ""
    return "hard" if permanent else "soft"


PROVIDER: Final = Provider(
    name="infobip",
    title="Infobip",
    read=_read,
    setup="`notifyUrl` of a message, or a subscription for delivery and seen reports.",
    reference="`messageId` can be your own; `callbackData`.",
    missing="nothing that matters; DELIVERED_TO_OPERATOR is not the end.",
    source="https://www.infobip.com/docs/api/channels/sms/outbound-sms/receive-outbound-sms-message-reports-v3",
)
