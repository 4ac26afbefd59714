"""Masks: what logs show of people's numbers, names and texts, and of secrets."""

import re
from collections.abc import Iterable
from typing import Final

from models.issues import mask_url

#: Shown in place of what is masked whole.
HIDDEN: Final = "***"

#: Digits of a number that are shown: enough to find a person who complains, too few to call one.
_FIRST: Final = 4
_LAST: Final = 2
_MIN_HIDDEN: Final = 4

_NUMBER: Final = re.compile(r"\+?[\d ().-]{7,}")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ID: Final = re.compile(r"[\w.:=-]{1,128}")
#: A number with its plus inside of a text. One without a plus looks like an offset or a time.
_WITH_PLUS: Final = re.compile(r"\+\d(?:[ ().-]{0,2}\d){6,}")
#: Each run of characters is read once, whether an address begins with it or not: a search for
#: `[\w.+%-]+@` would begin again at every character of a long word.
_MAIL: Final = re.compile(r"[\w.+%-]++(@[\w-]++(?:\.[\w-]++)+)?")
_RUN: Final = re.compile(r"[^\s'\"]++")
_SCHEME: Final = re.compile(r"(?<!\w)\w++://")
#: From the first quote to the last one: a value may have quotes too.
_QUOTED: Final = re.compile(r"['\"].*['\"]", re.DOTALL)
_LONG_NUMBER: Final = re.compile(r"\+?\d{6,}")


def mask_person(recipient: str) -> str:
    """A recipient as logs show it: `+4477******23`; whole what is not a number or too short."""
    plus = "+" if recipient.startswith("+") else ""
    digits = re.sub(r"\D", "", recipient)
    hidden = len(digits) - _FIRST - _LAST
    if hidden < _MIN_HIDDEN or not _NUMBER.fullmatch(recipient):
        return HIDDEN
    return f"{plus}{digits[:_FIRST]}{'*' * hidden}{digits[-_LAST:]}"


def mask_person_key(key: bytes) -> str:
    """A key `account/recipient` with the recipient masked."""
    account, slash, recipient = key.decode(errors="replace").partition("/")
    return f"{account}/{mask_person(recipient)}" if slash else HIDDEN


def mask_key(key: bytes) -> str:
    """A key of any record: accounts and ids stay, what may be a number, a name or a text does not.

    An id of digits alone is taken for a number.
    """
    account, slash, rest = key.decode(errors="replace").partition("/")
    if not _ACCOUNT.fullmatch(account) or _NUMBER.fullmatch(account):
        return HIDDEN
    if not slash:
        return account
    if _NUMBER.fullmatch(rest):
        return f"{account}/{mask_person(rest)}"
    return f"{account}/{rest if _ID.fullmatch(rest) else HIDDEN}"


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """A text for a log, without passwords of URLs, secrets, e-mail addresses and numbers with plus.

    It finds what looks like one. Texts and bare digits look like anything else: whoever logs them
    leaves them out, or uses `mask_values`.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _RUN.sub(lambda found: _without_credentials(found[0]), text)
    text = _MAIL.sub(lambda found: HIDDEN if found[1] else found[0], text)
    return _WITH_PLUS.sub(lambda found: mask_person(found[0]), text)


def _without_credentials(run: str) -> str:
    """A run without spaces and quotes, with the password of a URL in it masked."""
    scheme = _SCHEME.search(run)
    if scheme is None or "@" not in run[scheme.end() : -1]:
        return run
    return run[: scheme.start()] + mask_url(run[scheme.start() :])


def mask_values(text: str) -> str:
    """An error's text without the values it quotes and without long numbers."""
    quoted = _QUOTED.sub(lambda found: found[0][0] + HIDDEN + found[0][-1], text)
    return mask_text(_LONG_NUMBER.sub(HIDDEN, quoted))
