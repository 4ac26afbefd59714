"""Numbers: read as people write them, and the one spelling of a person.

Part of the oracle: written from the rules as text, shares no code with the worker.
"""

from __future__ import annotations

from functools import lru_cache

import phonenumbers


def is_number(text: str) -> bool:
    """Whether it is E.164: a plus and 5 to 15 digits, the first not 0."""
    digits = text[1:]
    plain = digits.isascii() and digits.isdigit() and 5 <= len(digits) <= 15
    return text[:1] == "+" and plain and digits[0] != "0"


def is_user_id(text: str) -> bool:
    """Whether it is a user id of WhatsApp: two capitals, a dot, letters and digits."""
    country, dot, rest = text[:2], text[2:3], text[3:]
    letters = country.isascii() and country.isalpha() and country.isupper()
    return letters and len(country) == 2 and dot == "." and rest.isascii() and rest.isalnum()


def is_person(text: str) -> bool:
    """Whether strikes and suppressions can be about it."""
    return is_number(text) or is_user_id(text)


def number_of(written: str) -> str:
    """E.164 of a number with spaces, dots, dashes or brackets, with 00 or nothing for the plus.

    "" when it is none.
    """
    plain = "".join(c for c in written if c not in " .-()")
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    elif plain.isascii() and plain.isdigit() and 8 <= len(plain) <= 15 and plain[0] != "0":
        plain = "+" + plain
    return plain if is_number(plain) else ""


def person_of(recipient: str) -> str:
    """The canonical spelling of a number.

    A mobile number of Brazil has the ninth digit, one of Argentina the 9 after the country code,
    one of Mexico no 1 there. Everything else is its own.
    """
    country, rest = recipient[:3], recipient[3:]
    if country == "+55" and len(rest) == 10 and rest[0] != "0" != rest[1] and rest[2] in "6789":
        return f"+55{rest[:2]}9{rest[2:]}"
    if country == "+52" and len(rest) == 11 and rest[0] == "1":
        return f"+52{rest[1:]}"
    if country == "+54" and len(rest) == 10 and rest[0] not in "09":
        return f"+549{rest}"
    return recipient


@lru_cache(maxsize=200_000)
def country_of(recipient: str) -> str:
    """The country of a number; without a known range, that of its calling code.

    Of a user id its letters; "" for other senders.
    """
    if is_user_id(recipient):
        return recipient[:2]
    if not is_number(recipient):
        return ""
    parsed = phonenumbers.parse(recipient)
    region = phonenumbers.region_code_for_number(parsed)
    return region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
