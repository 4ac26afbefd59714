"""What is masked, against a plain description of it; and texts of any length are read once."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from models.masking import HIDDEN, mask_person, mask_text

#: The description: short, and far too slow for long words.
MAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
CREDENTIALS = re.compile(r"\w+://[^\s'\"]*@[^\s'\"]+")
LOGIN = re.compile(r"(://[^:/@]*):.*@")
WITH_PLUS = re.compile(r"\+\d(?:[ ().-]{0,2}\d){6,}")


def described(text: str) -> str:
    """A text without logins of URLs, addresses and numbers."""
    text = CREDENTIALS.sub(lambda found: LOGIN.sub(r"\1:***@", found[0]), text)
    text = MAIL.sub(HIDDEN, text)
    return WITH_PLUS.sub(lambda found: mask_person(found[0]), text)


PIECES = st.sampled_from(
    [
        "anna.b@example.co.uk", "a+b%c@d-e.f", "http://", "https://user:hush@host:8123/db",
        "kafka://user:p@ss:word@host", "x://nobody@host", "+447700900123", "é@ü.org",
        *"@.:/+-%_a9é '\"\n?&=",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@given(TEXTS)
@settings(max_examples=2_000)
def test_a_text_loses_every_login_address_and_number(text: str) -> None:
    assert mask_text(text) == described(text)


def test_long_texts_are_read_once() -> None:
    """Where each place began the search again, one of these would take days."""
    many = 400_000
    for text in ("a" * many, "a://" * many, "a@" * many, "a@b" + ".b" * many + ":", "+1 " * many):
        mask_text(text)
    assert mask_text("a" * many + "@example.com") == HIDDEN
    secrets = "a://b:hush@host" + "://x:" * many
    assert mask_text(secrets) == "a://b:***@host" + "://x:" * many
