"""Phone numbers: read as people write them, and compared whatever their spelling.

Three countries write a mobile number with or without some digits, and WhatsApp often the other way
than the network: Brazil's ninth digit, Mexico's 1 after the country code, Argentina's 9 after it or
15 after the area code. All spellings of a number are one person.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

E164_PATTERN: Final = r"\+[1-9][0-9]{4,14}"
#: WhatsApp's business-scoped user id: the country's letters, a dot, letters and digits; one that
#: several businesses of an owner share has ENT before them.
USER_ID_PATTERN: Final = r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}"
#: What strikes and suppressions can be about.
PERSON_PATTERN: Final = f"^(?:{E164_PATTERN}|{USER_ID_PATTERN})$"

_is_person: Final = re.compile(f"{E164_PATTERN}|{USER_ID_PATTERN}").fullmatch
_is_e164: Final = re.compile(E164_PATTERN).fullmatch
#: A number without its +: with a country code, it has at least these digits.
_MIN_DIGITS, _MAX_DIGITS = 8, 15
#: "+", the longest country code and what may be dialed within the country only: with these and its
#: length, a number is as plausible as any other of its range.
_LEADING: Final = 6
#: URIs of numbers, and the addresses of some providers.
_SCHEME: Final = re.compile(r"(?:tel|sms|whatsapp):", re.IGNORECASE)
_BRACKETED_ZERO: Final = re.compile(r"[(\[]\s*0\s*[)\]]")
#: What people write between digits, as well as spaces and Unicode's dashes (category Pd).
_SEPARATORS: Final = frozenset(".()[]/")

#: Mobile numbers had eight digits from 6 to 9; landlines begin with 2 to 5.
_BRAZIL: Final = re.compile(r"\+55([1-9]{2})([6-9][0-9]{7})")
_BRAZIL_LONG: Final = re.compile(r"\+55([1-9]{2})9([6-9][0-9]{7})")
_MEXICO: Final = re.compile(r"\+521?([2-9][0-9]{9})")
#: Area code (11, 2…, 3…) and number have ten digits; fixed and mobile numbers share them.
_ARGENTINA: Final = re.compile(r"\+549?((?:11|[23][0-9])[0-9]{8})")
_ARGENTINA_15: Final = re.compile(r"\+54[1-3][0-9]{1,3}15[0-9]{6,8}")
#: Country codes of numbers with several spellings.
_SEVERAL_SPELLINGS: Final = frozenset({"+55", "+52", "+54"})


def is_person(recipient: str) -> bool:
    """Whether strikes and suppressions can be about it: a number in E.164, or a user id."""
    return _is_person(recipient) is not None


def person_of(recipient: str) -> str:
    """The canonical spelling of a number; another recipient is its own.

    Brazil with the ninth digit, Mexico without the 1, Argentina with the 9.
    """
    country = recipient[:3]
    if country not in _SEVERAL_SPELLINGS:
        return recipient
    if country == "+55":
        short = _BRAZIL.fullmatch(recipient)
        return f"+55{short[1]}9{short[2]}" if short else recipient
    if country == "+52":
        number = _MEXICO.fullmatch(recipient)
        return f"+52{number[1]}" if number else recipient
    number = _ARGENTINA.fullmatch(recipient)
    if number is None and _ARGENTINA_15.fullmatch(recipient):
        number = _ARGENTINA.fullmatch(_as_dialed_from_abroad(recipient) or "")
    return f"+549{number[1]}" if number else recipient


def spellings_of(recipient: str) -> tuple[str, ...]:
    """The spellings of a number that networks and WhatsApp use, the person's own first."""
    person = person_of(recipient)
    if long := _BRAZIL_LONG.fullmatch(person):
        return person, f"+55{long[1]}{long[2]}"
    if number := _MEXICO.fullmatch(person):
        return person, f"+521{number[1]}"
    if number := _ARGENTINA.fullmatch(person):
        return person, f"+54{number[1]}"
    return (person,)


def person_from(written: str) -> str | None:
    """A number as people write it, in E.164, or a user id as it is; None: it is neither."""
    return written if is_person(written) else read_number(written)


def read_number(written: str) -> str | None:
    """A number as people write it, in E.164; None: it has no country code, or is something else.

    Spaces, dots, dashes, brackets, a "(0)" and invisible marks do not count; 00 or nothing is read
    as +. Without either, the digits must have the length of a number of their country.
    """
    if _is_e164(written):
        return written
    plain = _plain(_SCHEME.sub("", written.strip(), count=1))
    if plain.startswith("00"):
        plain = f"+{plain[2:]}"
    if not plain.startswith("+"):
        if not _MIN_DIGITS <= len(plain) <= _MAX_DIGITS:
            return None
        plain = f"+{plain}"
        if not _is_e164(plain) or not _is_plausible(plain):
            return None
    elif "/" in written and not _is_plausible(plain):
        return None  # two numbers, as in 900123/124
    if _BRACKETED_ZERO.search(written):
        return _as_dialed_from_abroad(plain)
    return plain if _is_e164(plain) else None


def without_separators(written: str) -> str:
    """The same without what people write between the digits of a number, and without a "(0)"."""
    return _plain(_BRACKETED_ZERO.sub("", written))


def _plain(written: str) -> str:
    """Without separators and invisible marks, digits of every script as 0 to 9."""
    if written.isascii() and written.isdigit():
        return written
    return "".join(_digit(c) for c in written if not _is_separator(c))


def _is_separator(character: str) -> bool:
    return (
        character in _SEPARATORS
        or character == "\t"
        or unicodedata.category(character) in ("Zs", "Pd", "Cf")  # no line breaks: two numbers
    )


def _digit(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    return "+" if character == "\uff0b" else character


def _is_plausible(number: str) -> bool:
    """Whether a number has the length of one of its country; Mexico's with and without the 1."""
    person = person_of(number)
    return _is_plausible_range(person[:_LEADING], len(person))


@lru_cache(maxsize=100_000)
def _is_plausible_range(leading: str, length: int) -> bool:
    try:
        parsed = phonenumbers.parse(leading.ljust(length, "2"))
    except NumberParseException:
        return False
    found = phonenumbers.is_possible_number_with_reason(parsed)
    return bool(found == ValidationResult.IS_POSSIBLE)


@lru_cache(maxsize=10_000)
def _as_dialed_from_abroad(number: str) -> str | None:
    """Without the digits that are dialed within the country only: most countries' 0, but not
    Italy's; Argentina's 15.
    """
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return None
    formatted = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    return formatted if _is_e164(formatted) else None
