"""Comparing message ids that networks change between the submit and the receipt.

An id is kept as it came. It is compared by the rules of its endpoint, never by a global one: what
one network does to its ids would mix up those of another.
"""

from collections.abc import Iterable
from typing import Final, Literal, get_args

#: case: letters in any case. zeroes: without leading ones. hex-sent: sent as hexadecimal, and
#: received as decimal. hex-received: the other way round.
IdRule = Literal["case", "zeroes", "hex-sent", "hex-received"]
ID_RULES: Final[tuple[IdRule, ...]] = get_args(IdRule)


def sent_id(written: str, rules: Iterable[IdRule]) -> str:
    """The form in which the id of a send is compared."""
    return _compared(written, rules, "hex-sent", "hex-received")


def received_id(written: str, rules: Iterable[IdRule]) -> str:
    """The form in which the id of a receipt is compared."""
    return _compared(written, rules, "hex-received", "hex-sent")


def _compared(written: str, rules: Iterable[IdRule], hexadecimal: IdRule, decimal: IdRule) -> str:
    found = written.strip()
    for rule in rules:
        if rule == "case":
            found = found.casefold()
        elif rule == "zeroes":
            found = found.lstrip("0") or "0"
        elif rule == hexadecimal:
            found = _number(found, 16)
        elif rule == decimal:
            found = _number(found, 10)
    return found


def _number(written: str, base: int) -> str:
    """As a decimal number; what is none stays as it is. Longer ones cannot be ids of SMPP."""
    digits = written.casefold().removeprefix("0x") if base == 16 else written
    if len(digits) > 65 or not digits.isalnum():
        return written
    try:
        return str(int(digits, base))
    except ValueError:
        return written
