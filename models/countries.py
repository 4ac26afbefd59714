"""Country of a recipient: of an E.164 number by its leading digits, of a user id by its letters.

`phonenumbers` needs 34 µs a number. Most calling codes are one country's, as its table says; under
the shared ones (+1, +7, +44 …) its answer is remembered by the leading digits and the length, which
decide. So that the answer never depends on which number of a range came first, the library is asked
about a representative of the range, not about the number itself.
"""

from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneNumber,
)

from models.numbers import is_person

#: ISO 3166-1 alpha-2: the countries with numbers of their own, and those without.
COUNTRIES: Final = SUPPORTED_REGIONS | {"AQ", "BV", "GS", "HM", "PN", "TF", "UM"}
#: "+" and seven digits: enough for Jersey (+44 7700 3) and the islands of +1 (area code + 1). More
#: digits would be more ranges than the memory holds; only the islands of +590 need one more.
_LEADING: Final = 8
_ISLANDS: Final = "+590"
_NON_GEOGRAPHIC: Final = "001"
#: Calling codes that are not shared, two or three digits; no code is the beginning of another.
_OF_ONE: Final = {
    f"+{code}": "" if regions[0] == _NON_GEOGRAPHIC else regions[0]
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()
    if len(regions) == 1
}


def country_of(recipient: str) -> str:
    """ISO 3166 alpha-2 country of a number in E.164 or a user id.

    "" where it has none: satellite, freephone, an inbound sender that is a short code or a name.
    """
    alone = _OF_ONE.get(recipient[:3])
    if alone is None:
        alone = _OF_ONE.get(recipient[:4])
    if alone is not None:
        return alone
    if recipient[:1] != "+":
        return recipient[:2] if is_person(recipient) else ""
    digits = _LEADING + recipient.startswith(_ISLANDS)
    return _country_of_range(recipient[:digits], len(recipient))


@lru_cache(maxsize=100_000)
def _country_of_range(leading: str, length: int) -> str:
    try:
        number = phonenumbers.parse(leading.ljust(length, "0"))
    except NumberParseException:
        return ""
    region = phonenumbers.region_code_for_number(number) or _main_region(number)
    return "" if region in (_NON_GEOGRAPHIC, "ZZ") else region


def _main_region(number: PhoneNumber) -> str:
    """Region of a number that fits no pattern of its shared code: the code's main region."""
    code = number.country_code
    return str(phonenumbers.region_code_for_country_code(code)) if code else ""
