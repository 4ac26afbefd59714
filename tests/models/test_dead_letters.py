"""A dead letter always fits into its topic, and says what was cut."""

from hashlib import sha256

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from models.dead_letters import KEPT_BYTES, MAX_CONTENT_BYTES, MAX_LETTER_BYTES, letter_of
from models.refusal import Reason, Refusal
from tests.support.records import record

LONG = Refusal(Reason.BAD_VALUE, "\N{SNOWMAN}" * 5_000)


def test_what_fits_is_kept_byte_for_byte() -> None:
    value = b"v" * (MAX_CONTENT_BYTES - 1)
    letter = letter_of(record("sends", b"k", value, 7, partition=2, offset=9), LONG)
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"k", value)
    assert headers["reason"] == b"bad_value"
    assert [headers[name] for name in ("topic", "partition", "offset", "time")] == [
        b"sends", b"2", b"9", b"7",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"k", b"v" * MAX_CONTENT_BYTES),
        (b"k" * (MAX_CONTENT_BYTES + 1), None),
        (b"k" * MAX_CONTENT_BYTES, b"v" * MAX_CONTENT_BYTES),
        (None, b"v" * 100_000_000),
    ],
)
def test_what_does_not_fit_is_kept_by_its_first_bytes(
    key: bytes | None, value: bytes | None
) -> None:
    letter = letter_of(record("t" * 249, key, value, 2**46, offset=2**62), LONG)
    detail = dict(letter.headers)["detail"].decode()
    assert dict(letter.headers)["reason"] == b"oversized" and "bad_value: " in detail
    for name, whole, kept in (("key", key, letter.key), ("value", value, letter.value)):
        if whole is None:
            assert kept is None
            continue
        assert kept == whole[:KEPT_BYTES]
        cut = len(whole) > KEPT_BYTES
        assert (f"{name}: {len(whole)} bytes" in detail) == cut
        assert (sha256(whole).hexdigest() in detail) == cut


@pytest.mark.parametrize("value", [b"v" * (MAX_CONTENT_BYTES - 1), b"v" * 50_000_000])
def test_it_fits_into_the_topic_with_the_longest_names(value: bytes) -> None:
    letter = letter_of(record("t" * 249, b"k", value, 2**46, offset=2**62), LONG)
    size = DefaultRecordBatchBuilder.estimate_size_in_bytes(*letter)
    assert size <= MAX_LETTER_BYTES
