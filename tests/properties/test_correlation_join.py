"""The join of links and waiting receipts: any order, any repeats, any restore end in the same."""

from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.correlation import (
    Correlation,
    Link,
    ReceivedReceipt,
    add_link,
    add_waiting,
    decode,
    encode,
    join_encoded,
)

ATS = st.integers(1_790_000_000_000, 1_790_000_000_004)
LINKS = st.builds(
    Link, at=ATS, message_id=st.sampled_from([f"m{number}" for number in range(12)]),
    attempt=st.integers(0, 2),
)  # fmt: skip
_TEXTS = {
    name: "" for name, kind in ReceivedReceipt.__annotations__.items() if kind in (str, "str")
}
_NUMBERS = {"keys": 1, "occurred_at": 0, "part": 0, "parts": 0}


def _receipt(at: int, number: int, origin: int, reading: int) -> ReceivedReceipt:
    fields: dict[str, Any] = {**_TEXTS, **_NUMBERS, "reading": reading}
    digest, named = bytes([number]) * 16, bytes([origin]) * 16
    return ReceivedReceipt(received_at=at, digest=digest, origin=named, **fields)


RECEIPTS = st.builds(_receipt, ATS, st.integers(0, 5), st.integers(0, 3), st.integers(0, 2))
FACTS = st.lists(LINKS | RECEIPTS, max_size=14)


def _state(facts: list[Link | ReceivedReceipt]) -> Correlation:
    state = Correlation()
    for fact in facts:
        if isinstance(fact, Link):
            add_link(state, fact)
        else:
            add_waiting(state, fact)
    return state


@given(facts=FACTS, data=st.data())
def test_any_order_and_repeats(facts: list[Link | ReceivedReceipt], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(facts))
    assert _state(facts) == _state([*shuffled, *shuffled[:3]])


@given(facts=FACTS, again=FACTS)
def test_what_is_known_changes_nothing(
    facts: list[Link | ReceivedReceipt], again: list[Link | ReceivedReceipt]
) -> None:
    """Whether a fact is new is what a shard writes by."""
    state = _state(facts)
    for fact in [*facts, *again]:
        before = encode(state)
        add = add_link if isinstance(fact, Link) else add_waiting
        assert add(state, fact) == (encode(state) != before)  # type: ignore[operator]


@given(one=FACTS, other=FACTS, third=FACTS, versions=st.tuples(*[st.integers(0, 3)] * 3))
def test_a_restore_joins_values_in_any_order(
    one: list[Any], other: list[Any], third: list[Any], versions: tuple[int, int, int]
) -> None:
    values = []
    for facts, version in zip((one, other, third), versions, strict=True):
        state = _state(facts)
        state.version = version
        state.reported = tuple(sorted(each.name for each in state.waiting[:1]))
        values.append(encode(state))
    joined = {join_encoded(join_encoded(a, b), c) for a, b, c in permutations(values)}
    a, b, c = values
    assert joined == {join_encoded(a, join_encoded(b, c))}
    (whole,) = joined
    assert join_encoded(whole, a) == join_encoded(whole, whole) == whole
    found, newest = decode(whole), max(map(decode, values), key=lambda each: each.version)
    assert found.links == _state([*one, *other, *third]).links
    assert found.version == newest.version
    if len(set(versions)) == 3:
        assert (found.waiting, found.reported) == (newest.waiting, newest.reported)
