"""What follows from any callback is of the contract, and arrives as it was read."""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.providers import ADAPTERS
from models.providers.callback import Callback
from models.time import DAY_MS
from tests.models.providers.samples import SAMPLES_BY_PROVIDER, Sample
from tests.support.translated import NOW, check_translation

#: What breaks readers of texts, numbers and times.
NASTY: Final = [
    "1e99999999", "1e-99999999", "-1e-7", "NaN", "Infinity", "123456789", "1" * 5_000,
    "0001-01-01T00:00:00+14:00", "2000-01-01T00:00:00+14:00", "2099-12-31T23:59:59-14:00",
    "20990101120000", "9999999999", "4102444799", "\ud800", "a\x00b", "a\nb",
    "\u0661\u0662\u0663\u0664\u0665",
    "x" * 300, "\U0001f4a9" * 256, "\u0130" * 256, "acme/m9/999", "acme/m9/0", "acme/a\nb",
    "acme/ ", "acme/m9/\u0661",
    "other/m9", "447700900123/4", "+447700900123", "US.13491208655302741918", "12345", "null", "",
]  # fmt: skip
SCALARS = (
    st.sampled_from(NASTY)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([10**400, 10**4_000, 1e300, -1, 2**63, 1e-300])
)
VALUES = st.recursive(
    SCALARS, lambda deeper: st.lists(deeper) | st.dictionaries(st.text(max_size=9), deeper)
)
REFERENCES = st.sampled_from(["", "", "acme/m1", "acme/m1/2"]) | st.sampled_from(NASTY[:-1]).filter(
    lambda text: text.isprintable() and len(text) < 400
)


@pytest.mark.parametrize("provider", ADAPTERS)
@pytest.mark.parametrize("reference", ["", "acme/m1/2", "a text"])
def test_samples(provider: str, reference: str) -> None:
    for sample in SAMPLES_BY_PROVIDER[provider]:
        check_translation(provider, sample.callback, reference)


@pytest.mark.parametrize("provider", ADAPTERS)
@settings(max_examples=30)
@given(
    data=st.data(),
    reference=REFERENCES,
    received_at=st.sampled_from([NOW - 1_000, 0, 1, NOW + 10 * DAY_MS, 9_999_999_999_999]),
)
def test_a_sample_with_anything_in_any_place(
    provider: str, data: st.DataObject, reference: str, received_at: int
) -> None:
    sample: Sample = data.draw(st.sampled_from(SAMPLES_BY_PROVIDER[provider]))
    callback = sample.callback
    if callback.body.lstrip()[:1] in (b"{", b"["):
        value = _changed(json.loads(callback.body), data)
        callback = Callback(json.dumps(value).encode(), callback.content_type)
    elif callback.body:
        callback = Callback(_cut_in(callback.body, data), callback.content_type)
    else:
        callback = Callback(query=_cut_in(callback.query.encode(), data).decode("utf-8", "replace"))
    check_translation(provider, callback, reference, received_at)


def _changed(value: Any, data: st.DataObject) -> Any:
    """The value with something else in one place, mostly deep."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 9)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: _changed(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 9)):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], _changed(value[at], data), *value[at + 1 :]]
    return data.draw(VALUES)


def _cut_in(content: bytes, data: st.DataObject) -> bytes:
    """The bytes with the value of one field, or any piece, replaced."""
    starts = [at + 1 for at, byte in enumerate(content) if byte in b"=:"] or [0]
    start = data.draw(st.sampled_from(starts))
    end = next((at for at in range(start, len(content)) if content[at] in b"& "), len(content))
    written = data.draw(st.sampled_from(NASTY)).encode("utf-8", "surrogatepass")
    return content[:start] + data.draw(st.just(written) | st.binary(max_size=12)) + content[end:]


@pytest.mark.parametrize("provider", ADAPTERS)
def test_each_nasty_value_in_each_place(provider: str) -> None:
    for sample in SAMPLES_BY_PROVIDER[provider]:
        body = sample.callback.body
        if body.lstrip()[:1] in (b"{", b"["):
            changed = _each_place(json.loads(body))
            callbacks = [Callback(json.dumps(value).encode()) for value in changed]
        else:
            callbacks = [
                Callback(form, sample.callback.content_type)
                for form in _each_field(body or sample.callback.query.encode())
            ]
        for callback in callbacks:
            check_translation(provider, callback)


def _each_place(value: Any) -> Iterator[Any]:
    """The value with each nasty one for each leaf."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from ({**value, key: changed} for changed in _each_place(each))
    elif isinstance(value, list) and value:
        yield from ([changed, *value[1:]] for changed in _each_place(value[0]))
    else:
        yield from [*NASTY, None, True, -1, 2**63, 10**400, 1e300, float("nan"), [], {}, [[]], [{}]]


def _each_field(form: bytes) -> Iterator[bytes]:
    """The form with each nasty value in each field."""
    pairs = form.split(b"&")
    for at, pair in enumerate(pairs):
        for value in NASTY:
            written = quote_plus(value.encode("utf-8", "surrogatepass")).encode()
            changed = pair.partition(b"=")[0] + b"=" + written
            yield b"&".join([*pairs[:at], changed, *pairs[at + 1 :]])


@pytest.mark.parametrize("provider", ADAPTERS)
@settings(max_examples=20)
@given(body=st.binary(max_size=300), query=st.text(max_size=60), reference=REFERENCES)
@example(body=b"", query="", reference="")
def test_any_bytes(provider: str, body: bytes, query: str, reference: str) -> None:
    check_translation(provider, Callback(body, "", query), reference)
