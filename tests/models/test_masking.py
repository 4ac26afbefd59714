"""Masks: enough to recognise, too little to misuse."""

import pytest

from models.masking import mask_key, mask_person, mask_person_key, mask_text, mask_values


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        ("+447700900123", "+4477******23"),
        ("447700900123", "4477******23"),
        ("+44 (0) 7700 900-123", "+4407*******23"),
        ("1234567890", "1234****90"),
        ("123456789", "***"),
        ("+4477", "***"),
        ("anna@example.com", "***"),
        ("Anna Smith", "***"),
        ("447700900123@c.us", "***"),
        ("", "***"),
    ],
)
def test_a_person_is_shown_in_part_or_not_at_all(recipient: str, shown: str) -> None:
    assert mask_person(recipient) == shown
    assert mask_person_key(f"acme/{recipient}".encode()) == f"acme/{shown}"


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (b"acme/m-1", "acme/m-1"),
        (b"acme/0b5e7c1e-77aa-4bd1-9d2e-0a8b7c6d5e4f", "acme/0b5e7c1e-77aa-4bd1-9d2e-0a8b7c6d5e4f"),
        (b"acme", "acme"),
        (b"acme/447700900123", "acme/4477******23"),
        (b"447700900123", "***"),
        (b"+447700900123", "***"),
        (b"acme/Dear Anna", "acme/***"),
        (b"Your code is 4711/x", "***"),
        (b"\xff\xfe", "***"),
        (b"", "***"),
    ],
)
def test_a_key_of_a_stranger_shows_accounts_and_ids(key: bytes, shown: str) -> None:
    assert mask_key(key) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to +447700900123 and +44 7700 900-124.", "to +4477******23 and +4477******24."),
        ("anna.b@example.co.uk wrote", "*** wrote"),
        ("at offset 1234567890123 of 2026-11-27", "at offset 1234567890123 of 2026-11-27"),
        ("http://user:hush@host:8123/db failed", "http://user:***@host:8123/db failed"),
        ("the token s3cret-word-is here", "the token *** here"),
    ],
)
def test_a_text_loses_what_looks_like_a_person_or_is_a_secret(text: str, shown: str) -> None:
    assert mask_text(text, ["s3cret", "s3cret-word-is"]) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Cannot parse 'it's Anna' as Int8", "Cannot parse '***' as Int8"),
        ("column `text`: \"it's\" and 'that'", "column `text`: \"***'"),
        ("Code: 469. value 447700900123", "Code: 469. value ***"),
    ],
)
def test_an_error_loses_its_values(text: str, shown: str) -> None:
    assert mask_values(text) == shown
