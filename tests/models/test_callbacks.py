"""Raw callbacks as records: what is kept of a request, and what a copy of one keeps."""

from itertools import islice

import pytest

from models.callbacks import RawCallback, headers_of_copy, raw_callback

AT = 1_790_000_000_000
RAW = RawCallback(b"a=1", "twilio", "text/plain", "b=2", "acme/m1", AT, "twilio")


def first_origins(raw: RawCallback, count: int = 3) -> list[bytes]:
    return list(islice(raw.origins(), count))


def test_a_callback_is_read_as_it_was_kept() -> None:
    assert raw_callback(RAW.body, RAW.headers(), AT + 1) == RAW


@pytest.mark.parametrize("written", [b"", b"soon", "\u0661".encode(), b"9" * 14, b"-1"])
def test_without_a_time_of_its_own_it_has_that_of_its_record(written: bytes) -> None:
    headers = [("endpoint", b"smsc"), ("Received-At", written)]
    assert raw_callback(b"", headers, 7).received_at == 7
    assert raw_callback(b"", headers, -1).received_at == 0


def test_a_copy_has_the_headers_of_its_original_and_the_time_it_came() -> None:
    headers = [("endpoint", b"smsc"), ("traceparent", b"\xff"), ("Received-At", b"soon")]
    original = raw_callback(b"id:1", headers, AT)
    copied = headers_of_copy(original, headers, "3:1042", 99)
    assert copied[:2] == headers[:2]
    copy = raw_callback(b"id:1", copied, AT + 50)
    assert copy == original._replace(replayed_at=99)
    assert dict(copied)["replayed-from"] == b"3:1042"
    assert headers_of_copy(copy, copied, "3:1042", 99) == copied, "marked once"


def test_the_items_of_equal_bytes_have_equal_origins() -> None:
    """However often the provider repeats them, and when they are read again."""
    origins = first_origins(RAW)
    assert len(set(origins)) == 3
    assert first_origins(RAW._replace(received_at=5, verified="none", replayed_at=9)) == origins
    for other in (
        RAW._replace(body=b"a=2"),
        RAW._replace(endpoint="other"),
        RAW._replace(query=""),
        RAW._replace(reference="acme/m2"),
    ):
        assert not set(first_origins(other)) & set(origins)
