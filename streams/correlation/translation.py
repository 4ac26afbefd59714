"""From a provider's raw callback to receipts: which of them name their message, and which wait."""

from typing import Final

import msgspec

from models.callbacks import RawCallback, raw_callback
from models.correlation import possible_time
from models.endpoints import Endpoint
from models.keys import message_key
from models.providers.callback import Inbound, Unread
from models.reading import ReadItem, placed, read_callback
from models.refusal import MAX_DETAIL, Reason, Refusal
from models.routes import Routes
from streams.common.plan import Incoming, KeyValue, Plan, internal

_encode_json: Final = msgspec.json.Encoder().encode


def translate(plan: Plan, record: Incoming, routes: Routes, clock_ms: int) -> None:
    """Read a callback; its receipts go to their messages, or wait under their keys.

    What cannot be read costs itself alone. The callback is one dead letter, however much of it.
    clock_ms: when it came, where its record has no time
    """
    raw = raw_callback(record.value, record.headers, record.timestamp)
    if not raw.received_at:
        raw = raw._replace(received_at=clock_ms)
    endpoint = routes.endpoints.get(raw.endpoint)
    if endpoint is None:
        named = f"{raw.endpoint[:64]!r} is not in the file of endpoints"
        detail = f"header endpoint: {named if raw.endpoint else 'missing'}"
        plan.refuse(record, Refusal(Reason.BAD_VALUE, detail))
        return
    items = read_callback(raw, endpoint)
    refusals = [
        refusal for each in items if (refusal := _refusal(plan, endpoint, raw, each)) is not None
    ]
    if refusals:
        first, others = refusals[0], len(refusals) - 1
        more = f"; and {others} more of its {len(items)} items" if others else ""
        plan.refuse(record, Refusal(first.reason, first.detail[: MAX_DETAIL - len(more)] + more))


def _refusal(plan: Plan, endpoint: Endpoint, raw: RawCallback, each: ReadItem) -> Refusal | None:
    """Take one item of a callback; why it cannot be taken."""
    try:
        if each.error is not None:
            raise each.error
        if not isinstance(each.item, Unread):
            _take(plan, endpoint, raw, each)
            return None
        refusal = Refusal(Reason.BAD_VALUE, each.item.reason)
    except Exception as error:  # noqa: BLE001  (a rule that raises refuses its item)
        refusal = internal(error)
    plan.count("receipts_callback_items_total", endpoint.provider, "refused")
    return refusal


def _take(plan: Plan, endpoint: Endpoint, raw: RawCallback, each: ReadItem) -> None:
    provider = endpoint.provider
    if each.receipt is not None:
        outputs = list(placed(each.receipt, endpoint))
        plan.count("receipts_callback_items_total", provider, "receipt")
        for topic, key, value in outputs:
            plan.outputs[topic].append((key, value))
            if topic == "receipts":
                plan.count("receipts_correlated_total", "named")
    elif isinstance(each.item, Inbound):
        plan.outputs["sends"].append(_inbound(each.item, endpoint, raw.received_at))
        plan.count("receipts_callback_items_total", provider, "inbound")
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
        "sent_at": possible_time(item.at, received_at) or received_at,
        "provider": endpoint.provider,
        "provider_message_id": item.provider_message_id,
    }
    if item.text:
        event["text"] = item.text
    return message_key(endpoint.account, message_id), _encode_json(event)
