"""Records of receipts without their message, as the workers write them."""

import json
from typing import Any, Final

from tests.support.fakes import T0
from tests.support.records import Record

NUMBER: Final = "+4915112345678"


def unmatched_record(**fields: Any) -> Record:
    """A receipt of acme; with a message_id it was found after all."""
    value = {
        "account": "acme", "id": "r1", "at": T0, "message_id": "", "reported": True,
        "received_at": T0, "occurred_at": None, "endpoint": "twilio-eu", "provider": "twilio",
        "provider_message_id": "SM1", "reference": "order 7", "recipient": NUMBER,
        "status": "undelivered", "provider_status": "failed", "error_code": "30003",
        "error_text": "unreachable", **fields,
    }  # fmt: skip
    key = f"{value['account']}/{value['id']}".encode()
    return Record("unmatched-receipts", 0, 0, T0, key, json.dumps(value).encode())
