"""Mobile numbers of 27 countries, shared calling codes included, all valid for `phonenumbers`.

Each country has prefixes; the remaining digits are free. A *person* is a small integer, so the
same recipients occur again and a dead number stays dead.
"""

from __future__ import annotations

from deploy.simulator.traffic.profiles import DEAD_SHARE

# country -> (length of the number with its "+", prefixes)
PREFIXES: dict[str, tuple[int, tuple[str, ...]]] = {
    "US": (12, ("+12125", "+16463", "+13104", "+14158", "+15127", "+17024")),
    "CA": (12, ("+14165", "+16047", "+15148", "+14033")),
    "DO": (12, ("+18095", "+18294")),
    "PR": (12, ("+17873",)),
    "GB": (13, ("+447400", "+447521", "+447857")),
    "JE": (13, ("+447797",)),
    "GG": (13, ("+447781", "+447839")),
    "RU": (12, ("+7903", "+7916", "+7925", "+7981")),
    "KZ": (12, ("+7701", "+7705", "+7777", "+7747")),
    "DE": (13, ("+49171", "+49176")),
    "FR": (12, ("+33612", "+33651")),
    "ES": (12, ("+34612", "+34655")),
    "IT": (13, ("+39347", "+39328")),
    "AR": (14, ("+549115",)),
    "BR": (14, ("+55119", "+55219")),
    "IN": (13, ("+919845", "+919820", "+917012")),
    "MX": (13, ("+5255",)),
    "NG": (14, ("+234803", "+234806")),
    "ID": (14, ("+62812", "+62813")),
    "TR": (13, ("+90532", "+90543")),
    "AE": (13, ("+97150", "+97155")),
    "AU": (12, ("+61412", "+61423")),
    "ZA": (12, ("+2782", "+2773")),
    "FI": (13, ("+35840", "+35850")),
    "NO": (11, ("+479",)),
    "KE": (13, ("+254712", "+254722")),
    "PH": (13, ("+63917", "+63905")),
}
_SCRAMBLE = 2_654_435_761  # Knuth's multiplier: neighbours in `person` get unlike numbers


def phone_number(country: str, person: int) -> str:
    """The E.164 number of one person of a country; the same person always has the same number."""
    length, prefixes = PREFIXES[country]
    prefix = prefixes[person % len(prefixes)]
    free = length - len(prefix)
    return f"{prefix}{(person * _SCRAMBLE) % 10**free:0{free}d}"


def is_dead(person: int) -> bool:
    """A number without an owner: the same persons are dead in every run."""
    return (person * 617 + 500) % 1000 < DEAD_SHARE * 1000


def other_spelling(number: str) -> str:
    """The number as WhatsApp may write it: without Brazil's ninth digit or Argentina's 9, or with
    Mexico's 1. A recipient with one spelling, or written so already, is itself."""
    rest = number[3:]
    if number.startswith("+55") and len(rest) == 11 and rest[3] in "6789":
        return f"+55{rest[:2]}{rest[3:]}"
    if number.startswith("+52") and len(rest) == 10:
        return f"+521{rest}"
    return f"+54{rest[1:]}" if number.startswith("+549") and len(rest) == 11 else number


def user_id(country: str, person: int) -> str:
    """The id of a person who hides the number from businesses on WhatsApp; "": most do not."""
    return f"{country}.{(person + 1) * _SCRAMBLE:020d}" if person % 40 == 3 else ""
