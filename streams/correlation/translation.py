"""From a provider's raw callback to receipts: which of them name their message, and which wait."""

from typing import Final

import msgspec

from models.callbacks import raw_callback
from models.correlation import ReceivedReceipt
from models.endpoints import Endpoint
from models.keys import message_key
from models.providers.callback import Inbound, Item, Unread
from models.reading import placed, read_callback
from models.refusal import Reason, Refusal
from models.routes import Routes
from streams.common.plan import Incoming, KeyValue, Plan

_encode_json: Final = msgspec.json.Encoder().encode


def translate(plan: Plan, record: Incoming, routes: Routes) -> None:
    """Read a callback; its receipts go to their messages, or wait under their keys."""
    raw = raw_callback(record.value, record.headers, record.timestamp)
    endpoint = routes.endpoints.get(raw.endpoint)
    if endpoint is None:
        named = f"{raw.endpoint[:64]!r} is not in the file of endpoints"
        detail = f"header endpoint: {named if raw.endpoint else 'missing'}"
        plan.refuse(record, Refusal(Reason.BAD_VALUE, detail))
        return
    for item, receipt in read_callback(raw, endpoint):
        if receipt is not None:
            _place(plan, endpoint, receipt)
        else:
            _take(plan, record, endpoint, raw.received_at, item)


def _place(plan: Plan, endpoint: Endpoint, receipt: ReceivedReceipt) -> None:
    plan.count("receipts_callback_items_total", endpoint.provider, "receipt")
    for topic, key, value in placed(receipt, endpoint):
        plan.outputs[topic].append((key, value))
        if topic == "receipts":
            plan.count("receipts_correlated_total", "named")


def _take(plan: Plan, record: Incoming, endpoint: Endpoint, received_at: int, item: Item) -> None:
    provider = endpoint.provider
    if isinstance(item, Unread):
        plan.refuse(record, Refusal(Reason.BAD_VALUE, item.reason))
        plan.count("receipts_callback_items_total", provider, "refused")
    elif isinstance(item, Inbound):
        plan.count("receipts_callback_items_total", provider, "inbound")
        plan.outputs["sends"].append(_inbound(item, endpoint, received_at))
    else:
        plan.count("receipts_callback_items_total", provider, "other")


def _inbound(item: Inbound, endpoint: Endpoint, received_at: int) -> KeyValue:
    """A message to us is an inbound send. Ids of Meta may have a slash, those of messages not."""
    message_id = item.provider_message_id.replace("/", "_")
    event = {
        "account": endpoint.account,
        "message_id": message_id,
        "channel": "whatsapp",
        "direction": "inbound",
        "recipient": item.sender,
        "sent_at": item.at or received_at,
        "provider": endpoint.provider,
        "provider_message_id": item.provider_message_id,
    }
    if item.text:
        event["text"] = item.text
    return message_key(endpoint.account, message_id), _encode_json(event)
