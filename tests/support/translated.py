"""Translating a callback, and checking that all that follows is of the contract."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from models.callbacks import RawCallback
from models.correlation import decode_receipt, event_of
from models.endpoints import read_endpoints
from models.parsing import parse_receipt, parse_send
from models.providers import ADAPTERS
from models.providers.callback import Callback
from models.refusal import Refusal
from models.routes import Routes
from models.time import DAY_MS
from streams.batching.stores.memory import MemoryStore
from streams.common.plan import Plan
from streams.correlation.shard import CorrelationRules, CorrelationShard
from tests.support.records import record

NOW: Final = 1_790_000_000_000
#: Account, kind and 256 characters of four bytes, with room for the recipient.
MAX_KEY_BYTES: Final = 1_400
MAX_EVENT: Final = 16_384
ENDPOINTS: Final = read_endpoints(
    'public_url = "https://receipts.example.com"\n'
    + "".join(
        f'[endpoints.{name}{suffix}]\nprovider = "{name}"\naccount = "acme"\nunverified = true\n'
        f"{zone}\n"
        for name in ADAPTERS
        for suffix, zone in (("-plain", ""), ("-zoned", 'zone = "America/St_Johns"'))
    )
).endpoints


def _plan(provider: str, callback: Callback, reference: str, received_at: int) -> Plan:
    raw = RawCallback(
        callback.body, provider, callback.content_type, callback.query, reference, received_at
    )
    shard = CorrelationShard(0, MemoryStore(), CorrelationRules(1, 30, 3), Routes(ENDPOINTS))
    headers = tuple(
        (name, text.encode("utf-8", "replace"))
        for name, text in (
            ("endpoint", raw.endpoint),
            ("content-type", raw.content_type),
            ("query", raw.query),
            ("reference", raw.reference),
            ("received-at", str(raw.received_at)),
        )
    )
    return shard.plan("callbacks", [record("callbacks", None, raw.body, NOW, headers=headers)], NOW)


def _events(plan: Plan) -> Iterator[bytes]:
    """Of the receipts that name their message, and of those that will find it."""
    for _, value in plan.outputs["receipts"]:
        yield value
    for key, value in plan.outputs["provider-receipts"]:
        assert len(key) <= MAX_KEY_BYTES
        key.decode()
        yield event_of(decode_receipt(value), "acme", "m1", 0)[1]


def check_translation(
    provider: str, callback: Callback, reference: str = "", received_at: int = NOW - 1_000
) -> None:
    """Whatever the callback is, what follows from it is accepted, as the adapter has read it.

    reference: of its URL. received_at: as its header has it, epoch ms
    """
    for endpoint in (f"{provider}-plain", f"{provider}-zoned"):
        plan = _plan(endpoint, callback, reference, received_at)
        assert not plan.failures
        assert len(plan.dead_letters) <= 1, "the whole callback, once"
        for letter in plan.dead_letters:
            assert letter.refusal.reason.value == "bad_value", letter.refusal
            assert "internal" not in letter.refusal.detail
        for value in _events(plan):
            _check_receipt(value)
        for _, value in plan.outputs["sends"]:
            send = parse_send(value, NOW)
            assert not isinstance(send, Refusal), (send, value)
            assert not getattr(send, "repaired", ())


def _check_receipt(value: bytes) -> None:
    assert len(value) <= MAX_EVENT
    written: dict[str, Any] = msgspec.json.decode(value)
    receipt = parse_receipt(value, NOW)
    assert not isinstance(receipt, Refusal), (receipt, value)
    assert not getattr(receipt, "repaired", ()), (receipt, value)
    for field in ("status", "bounce", "scope", "error_code", "recipient", "mccmnc", "currency"):
        assert (getattr(receipt, field) or None) == written.get(field), field
    assert receipt.provider_message_id == written.get("provider_message_id")
    assert (receipt.price is None) == ("price" not in written)
    assert receipt.occurred_at <= NOW + DAY_MS
