"""Phone numbers: read as people write them, and compared whatever their spelling.

Three countries write a mobile number with or without one digit, and WhatsApp often the other way
than the network: Brazil's ninth digit, Mexico's 1 and Argentina's 9 after the country code. All
spellings of a number are one person.
"""

import re
import unicodedata
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

E164_PATTERN: Final = r"\+[1-9][0-9]{4,14}"
#: WhatsApp's user id: the country's letters, a dot, letters and digits.
USER_ID_PATTERN: Final = r"[A-Z]{2}\.[A-Za-z0-9]{1,61}"
#: What strikes and suppressions can be about.
PERSON_PATTERN: Final = f"^(?:{E164_PATTERN}|{USER_ID_PATTERN})$"

_is_person: Final = re.compile(PERSON_PATTERN).match
_is_e164: Final = re.compile(f"^{E164_PATTERN}$").match
#: A number without its +: with a country code, it has at least these digits.
_MIN_DIGITS, _MAX_DIGITS = 8, 15
_TRUNK_ZERO: Final = re.compile(r"\(\s*0\s*\)")
#: What people write between digits; the dashes of Unicode are category Pd.
_SEPARATORS: Final = frozenset(" .-()[]/\u00a0\u2007\u202f")

_BRAZIL: Final = re.compile(r"\+55([1-9][0-9])([6-9][0-9]{7})")
_MEXICO: Final = re.compile(r"\+521([0-9]{10})")
_ARGENTINA: Final = re.compile(r"\+54([1-8][0-9]{9})")
#: Country codes of numbers with two spellings.
_TWO_SPELLINGS: Final = frozenset({"+55", "+52", "+54"})


def is_person(recipient: str) -> bool:
    """Whether strikes and suppressions can be about it: a number in E.164, or a user id."""
    return _is_person(recipient) is not None


def person_of(recipient: str) -> str:
    """The spelling that stands for all spellings of a number; another recipient is its own.

    Brazil with the ninth digit, Mexico without the 1, Argentina with the 9.
    """
    if recipient[:3] not in _TWO_SPELLINGS:
        return recipient
    if short := _BRAZIL.fullmatch(recipient):
        return f"+55{short[1]}9{short[2]}"
    if long := _MEXICO.fullmatch(recipient):
        return f"+52{long[1]}"
    if short := _ARGENTINA.fullmatch(recipient):
        return f"+549{short[1]}"
    return recipient


def spellings_of(recipient: str) -> tuple[str, ...]:
    """Every spelling of a number, the one that stands for all of them first."""
    person = person_of(recipient)
    country, rest = person[:3], person[3:]
    if country == "+55" and re.fullmatch(r"[1-9][0-9]9[6-9][0-9]{7}", rest):
        return person, f"+55{rest[:2]}{rest[3:]}"
    if country == "+52" and re.fullmatch(r"[0-9]{10}", rest):
        return person, f"+521{rest}"
    if country == "+54" and re.fullmatch(r"9[1-8][0-9]{9}", rest):
        return person, f"+54{rest[1:]}"
    return (person,)


def person_from(written: str) -> str | None:
    """A number as people write it, in E.164, or a user id as it is; None: it is neither."""
    return written if is_person(written) else read_number(written)


def read_number(written: str) -> str | None:
    """A number as people write it, in E.164; None: it is no number with a country code.

    Spaces, dots, dashes, brackets, a "(0)" and invisible marks do not count; 00 or nothing stands
    for +.
    """
    plain = without_separators(written.strip().removeprefix("tel:"))
    if plain.startswith("00"):
        plain = f"+{plain[2:]}"
    if plain.startswith("+"):
        return plain if _is_e164(plain) else None
    if not plain.isdigit() or not _MIN_DIGITS <= len(plain) <= _MAX_DIGITS:
        return None
    return f"+{plain}" if _has_country_code(plain) else None


def without_separators(written: str) -> str:
    """The same without what people write between the digits of a number."""
    return "".join(_plain(_TRUNK_ZERO.sub("", written)))


def _plain(written: str) -> list[str]:
    kept = []
    for character in written:
        digit = unicodedata.digit(character, None)
        if digit is not None and unicodedata.category(character) == "Nd":
            kept.append(str(digit))
        elif character not in _SEPARATORS and unicodedata.category(character) not in ("Pd", "Cf"):
            kept.append("+" if character == "\uff0b" else character)
    return kept


def _has_country_code(digits: str) -> bool:
    return any(int(digits[:length]) in COUNTRY_CODE_TO_REGION_CODE for length in (1, 2, 3))
