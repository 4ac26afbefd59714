"""Country of an E.164 number by its leading digits (research: receipts domain §7).

`phonenumbers` needs 34 µs a number; its answer is remembered by the leading digits and the length,
which decide the country also under shared calling codes (+1, +7, +44 …). So that the answer never
depends on which number of a range came first, the library is asked about a representative of the
range, not about the number itself.
"""

from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber

#: "+" and seven digits: enough for Jersey (+44 7700 3) and the islands of +1 (area code + 1). More
#: digits would be more ranges than the memory holds; only the islands of +590 need one more.
_LEADING: Final = 8
_ISLANDS: Final = "+590"
_NON_GEOGRAPHIC: Final = "001"


def country_of(number: str) -> str:
    """ISO 3166 alpha-2 country of an E.164 number; "" where it has none (satellite, freephone)."""
    digits = _LEADING + number.startswith(_ISLANDS)
    return _country_of_range(number[:digits], len(number))


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
