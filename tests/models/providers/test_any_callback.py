"""Whatever arrives, an adapter gives receipts or reasons, and never raises."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codes.tables import STATUS_WORDS
from models.providers import ADAPTERS, MAX_ITEMS, read
from models.providers.callback import Callback, Item, Options, ProviderReceipt, Unread, meaning_of
from models.providers.fields import NEVER, epoch, money
from models.providers.receipts import MAX_CODE, MAX_ID, MAX_WORDS
from tests.models.providers.samples import SAMPLES_BY_PROVIDER, Sample

ZONED = Options(zone="America/St_Johns")
TYPES = st.sampled_from(["", "application/json", "application/x-www-form-urlencoded", "text/plain"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda deeper: st.lists(deeper) | st.dictionaries(st.text(max_size=9), deeper)
)


def _check(provider: str, callback: Callback) -> None:
    for options in (Options(), ZONED):
        items = read(ADAPTERS[provider], callback, options)
        for item in items:
            _check_item(item)


def _check_item(item: Item) -> None:
    if isinstance(item, Unread):
        assert item.reason
        assert not item.reason.startswith("internal")
    elif isinstance(item, ProviderReceipt):
        assert item.status in STATUS_WORDS
        assert item.provider_message_id or item.reference
        assert len(item.provider_message_id) <= MAX_ID
        assert len(item.error_code or "") <= MAX_CODE
        assert len(item.words) <= MAX_WORDS
        assert item.part <= item.parts <= 255
        status, bounce, scope = meaning_of(item)
        assert (status in ("undelivered", "rejected")) == bool(bounce)
        assert bounce or not scope


@pytest.mark.parametrize("provider", ADAPTERS)
@settings(max_examples=40)
@given(body=st.binary(max_size=300), content_type=TYPES, query=st.text(max_size=60))
def test_any_bytes(provider: str, body: bytes, content_type: str, query: str) -> None:
    _check(provider, Callback(body, content_type, query))


@pytest.mark.parametrize("provider", ADAPTERS)
@settings(max_examples=40)
@given(value=VALUES)
def test_any_json(provider: str, value: Any) -> None:
    _check(provider, Callback(json.dumps(value).encode(), "application/json"))


@pytest.mark.parametrize("provider", ADAPTERS)
@settings(max_examples=60)
@given(data=st.data())
def test_a_sample_with_any_value_in_any_place(provider: str, data: st.DataObject) -> None:
    sample: Sample = data.draw(st.sampled_from(SAMPLES_BY_PROVIDER[provider]))
    callback = sample.callback
    if callback.body.lstrip()[:1] in (b"{", b"["):
        value = _changed(json.loads(callback.body), data)
        _check(provider, Callback(json.dumps(value).encode(), callback.content_type))
        return
    content = callback.body or callback.query.encode()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    changed = content[:start] + data.draw(st.binary(max_size=12)) + content[end:]
    if callback.body:
        _check(provider, Callback(changed, callback.content_type))
    else:
        _check(provider, Callback(query=changed.decode("utf-8", "replace")))


def _changed(value: Any, data: st.DataObject) -> Any:
    """The value with something else in one place."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: _changed(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], _changed(value[at], data), *value[at + 1 :]]
    return data.draw(VALUES)


@pytest.mark.parametrize("provider", ADAPTERS)
def test_a_large_callback_of_nothing(provider: str) -> None:
    for filling in (b"[" * 1_000_000, b"&=" * 500_000, b" id:" * 250_000, b"0" * 1_000_000):
        _check(provider, Callback(filling))


@pytest.mark.parametrize("provider", ["whatsapp", "infobip", "bandwidth", "tencent", "smpp"])
def test_a_bad_receipt_in_a_batch_costs_itself_alone(provider: str) -> None:
    good = {
        "whatsapp": {"id": "w", "status": "sent"},
        "infobip": {"messageId": "i", "status": {"groupName": "PENDING"}},
        "bandwidth": {"type": "message-delivered", "message": {"id": "b"}},
        "tencent": {"sid": "t", "report_status": "SUCCESS"},
        "smpp": {"short_message": "id:s stat:DELIVRD"},
    }[provider]
    batch: Any = [good, {"id": {}, "sid": "x", "messageId": "x", "esm_class": 4}, good]
    if provider == "whatsapp":
        batch = {"entry": [{"changes": [{"field": "messages", "value": {"statuses": batch}}]}]}
    if provider == "infobip":
        batch = {"results": batch}
    items = read(ADAPTERS[provider], Callback(json.dumps(batch).encode()), Options())
    assert [type(item) for item in items] == [ProviderReceipt, Unread, ProviderReceipt]


def test_a_flood_of_items_is_bounded() -> None:
    """Each could become a record: a megabyte of them would be gigabytes."""
    items = read(ADAPTERS["tencent"], Callback(b"[" + b"{}," * 200_000 + b"{}]"), Options())
    assert len(items) == MAX_ITEMS + 1
    assert isinstance(items[-1], Unread)
    assert str(MAX_ITEMS) in items[-1].reason
    exact = read(ADAPTERS["tencent"], Callback(b"[" + b"{}," * (MAX_ITEMS - 1) + b"{}]"), Options())
    assert len(exact) == MAX_ITEMS
    assert "only the first" not in exact[-1].reason


@pytest.mark.parametrize(
    "written",
    ["1e99999999", "1e9999999999999", "-1000000000", "NaN", "9" * 5_000, "1790000000e5",
     "123456789", "9999999999999", "1_790_000_000"],
)  # fmt: skip
def test_an_epoch_that_is_none(written: str) -> None:
    assert epoch(written) == NEVER


@pytest.mark.parametrize(
    ("amount", "price"),
    [
        ("0.00750", "0.0075"), ("10", "10"), ("-1.5", "-1.5"), ("1e-7", "0.0000001"),
        ("1e-99999999", "0"), ("0e99999999", "0"), ("1e99999999", ""), ("Infinity", ""),
        ("sNaN", ""), ("NaN", ""), ("-nan7", ""), ("1000000000", ""),
        ("999999999.9999999999999", ""), ("1" * 5_000, ""),
    ],
)  # fmt: skip
def test_money(amount: str, price: str) -> None:
    assert money(amount, "EUR") == (price, "EUR" if price else "")


def test_a_form_is_small() -> None:
    (item,) = read(ADAPTERS["twilio"], Callback(b"a=" + b"%41" * 100_000), Options())
    assert isinstance(item, Unread)
    assert "form" in item.reason


def test_halves_of_surrogate_pairs_are_replaced() -> None:
    body = b'{"entry":[{"changes":[{"value":{"statuses":[{"id":"a\\ud800","status":"sent"}]}}]}]}'
    (item,) = read(ADAPTERS["whatsapp"], Callback(body), Options())
    assert isinstance(item, ProviderReceipt)
    assert item.provider_message_id == "a\ufffd"
