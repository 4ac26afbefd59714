"""Bodies of callbacks as each simulated provider writes them.

A report is the JSON object of one receipt: account, provider, reference, provider_message_id,
status, occurred_at (epoch ms), error_code, reason and, where they are known, recipient, mccmnc,
price, currency, codes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

Report = Mapping[str, Any]
FORM, JSON, TEXT = "application/x-www-form-urlencoded", "application/json", "text/plain"


class Dialect(NamedTuple):
    """How a provider writes receipts.

    body: of the receipts in one callback. batch: the most in one.
    seconds: its times have no fraction. in_url: its sender names the message in the URL.
    """

    content_type: str
    body: Callable[[Sequence[Report]], bytes]
    batch: int = 1
    seconds: bool = True
    in_url: bool = False


def _when(report: Report) -> datetime:
    return datetime.fromtimestamp(report["occurred_at"] / 1000, UTC)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None)}


def _form(fields: Mapping[str, Any]) -> bytes:
    return urlencode(_given(fields)).encode()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


# --- Twilio ---------------------------------------------------------------------------------------

_TWILIO: Final = {"queued": "accepted", "sent": "sent", "delivered": "delivered", "read": "read",
                  "undelivered": "undelivered", "rejected": "failed"}  # fmt: skip


def _twilio(reports: Sequence[Report]) -> bytes:
    (report,) = reports
    return _form(
        {
            "AccountSid": f"AC{report['account']}",
            "MessageSid": report["provider_message_id"],
            "MessageStatus": _TWILIO[report["status"]],
            "ErrorCode": report["error_code"],
            "ErrorMessage": report["reason"] if report["error_code"] else "",
            "RawDlrDoneDate": f"{_when(report):%y%m%d%H%M%S}",
            "From": "+15005550006",
            "ApiVersion": "2010-04-01",
        }
    )


# --- Vonage, SMS API ------------------------------------------------------------------------------

_VONAGE: Final = {"delivered": "delivered", "undelivered": "failed", "rejected": "rejected"}


def _vonage(reports: Sequence[Report]) -> bytes:
    """Without `sig`, which the signature adds."""
    (report,) = reports
    return _form(
        {
            "to": "receipts",
            "messageId": report["provider_message_id"],
            "client-ref": report["reference"],
            "status": _VONAGE[report["status"]],
            "err-code": report["error_code"],
            "message-timestamp": f"{_when(report):%Y-%m-%d %H:%M:%S}",
            "network-code": report.get("mccmnc"),
            "price": report.get("price"),
        }
    )


# --- Infobip --------------------------------------------------------------------------------------

_INFOBIP: Final = {"delivered": ("DELIVERED", 5, "DELIVERED_TO_HANDSET"),
                   "undelivered": ("UNDELIVERABLE", 9, "UNDELIVERABLE_NOT_DELIVERED"),
                   "rejected": ("REJECTED", 6, "REJECTED_NETWORK")}  # fmt: skip


def _infobip(reports: Sequence[Report]) -> bytes:
    return _json({"results": [_infobip_result(report) for report in reports]})


def _infobip_result(report: Report) -> dict[str, Any]:
    group, number, name = _INFOBIP[report["status"]]
    when = f"{_when(report):%Y-%m-%dT%H:%M:%S}.{report['occurred_at'] % 1000:03d}+0000"
    code, price = report["error_code"], report.get("price")
    words = "No Error" if code == "0" else report["reason"]
    return _given(
        {
            "bulkId": "b-1",
            "messageId": report["provider_message_id"],
            "callbackData": report["reference"],
            "to": report.get("recipient", "").lstrip("+"),
            "doneAt": when,
            "smsCount": 1,
            "price": {"pricePerMessage": float(price), "currency": "EUR"} if price else None,
            "status": {"groupName": group, "id": number, "name": name},
            "error": {"id": int(code), "name": f"EC_{code}", "description": words},
        }
    )


# --- WhatsApp -------------------------------------------------------------------------------------

_META: Final = {"sent": "sent", "delivered": "delivered", "read": "read", "undelivered": "failed",
                "rejected": "failed"}  # fmt: skip


def _meta(reports: Sequence[Report]) -> bytes:
    changes = [
        {"field": "messages", "value": {"messaging_product": "whatsapp",
                                        "statuses": [_meta_status(report)]}}
        for report in reports
    ]  # fmt: skip
    return _json(
        {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}
    )


def _meta_status(report: Report) -> dict[str, Any]:
    code = report["error_code"]
    return _given(
        {
            "id": report["provider_message_id"],
            "status": _META[report["status"]],
            "timestamp": str(report["occurred_at"] // 1000),
            "biz_opaque_callback_data": report["reference"],
            "errors": [{"code": int(code), "title": report["reason"]}] if code else None,
        }
    )


# --- SMPP -----------------------------------------------------------------------------------------

_SMPP: Final = {"queued": "ACCEPTD", "sent": "ENROUTE", "delivered": "DELIVRD",
                "undelivered": "UNDELIV", "rejected": "REJECTD"}  # fmt: skip


def _smpp(reports: Sequence[Report]) -> bytes:
    (report,) = reports
    when, word = f"{_when(report):%y%m%d%H%M%S}", _SMPP[report["status"]]
    return (
        f"id:{report['provider_message_id']} sub:001 dlvrd:{int(word == 'DELIVRD'):03d} "
        f"submit date:{when} done date:{when} stat:{word} err:{report['error_code']} "
        "text:Your order is on"
    ).encode()


#: By the name of the provider.
DIALECTS: Final[Mapping[str, Dialect]] = {
    "twilio": Dialect(FORM, _twilio, in_url=True),
    "vonage": Dialect(FORM, _vonage),
    "infobip": Dialect(JSON, _infobip, batch=20, seconds=False),
    "whatsapp": Dialect(JSON, _meta, batch=20),
    "smpp": Dialect(TEXT, _smpp),
}


_WORDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "twilio": _TWILIO, "vonage": _VONAGE, "infobip": _INFOBIP, "whatsapp": _META, "smpp": _SMPP,
}  # fmt: skip


def words_of(provider: str) -> frozenset[str]:
    """The statuses that a provider has a word for."""
    return frozenset(_WORDS[provider])


def code_of(provider: str, failure: str) -> str:
    """The code of a receipt. failure: "" for a receipt of none"""
    if not failure:
        return {"vonage": "0", "infobip": "0", "smpp": "000"}.get(provider, "")
    return str(int(failure)) if provider == "infobip" else failure


def reason_of(provider: str, status: str, given: str | None) -> str:
    """The words of a failure, else that of its status. given: "" where it is no failure"""
    word = _WORDS[provider][status]
    word = word[2] if isinstance(word, tuple) else word
    return word if provider in ("vonage", "smpp") else given or word
