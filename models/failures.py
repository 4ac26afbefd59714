"""What a failed receipt means: the kind of the failure, whose fault it is, and what it forbids."""

from functools import lru_cache
from typing import Final, NamedTuple

from models.accounts import AccountSettings
from models.codes import PROVIDERS, code_of, reason_of_phrase
from models.codes.reasons import BLOCKED_BY_RECIPIENT, OPTED_OUT, UNEXPLAINED
from models.codes.tables import folded
from models.vocabulary import Bounce, Status

#: Flags of an outcome, like NO_ATTEMPT: the code means that the recipient opted out; the message
#: is never sent again.
OPT_OUT: Final = 2
NEVER_RETRIED: Final = 4
#: The account has meanings of codes of its own, and the provider of its send decides by them.
MAY_STRIKE: Final = 8

#: (word, bounce) → status, bounce and default scope (docs/semantics.md).
_FAILURES: Final[dict[tuple[str, str], tuple[Status, Bounce, str]]] = {
    ("undelivered", ""): (Status.UNDELIVERED, Bounce.SOFT, ""),
    ("undelivered", "soft"): (Status.UNDELIVERED, Bounce.SOFT, ""),
    ("undelivered", "hard"): (Status.UNDELIVERED, Bounce.HARD, "recipient"),
    ("rejected", ""): (Status.REJECTED, Bounce.HARD, ""),
    ("rejected", "soft"): (Status.UNDELIVERED, Bounce.SOFT, ""),  # a temporary refusal
    ("rejected", "hard"): (Status.REJECTED, Bounce.HARD, ""),
}
#: Words of failures that have a bounce.
BOUNCING: Final = frozenset(word for word, _ in _FAILURES)


class Failure(NamedTuple):
    """A failure as it counts; the numbers of `Status` and `Bounce`, and flags of an outcome."""

    status: int
    bounce: int
    scope: str
    flags: int


def failure_of(
    word: str,
    bounce: str,
    scope: str,
    provider: str,
    code: str,
    words: str,
    settings: AccountSettings | None,
) -> Failure:
    """What a receipt with the word undelivered or rejected means; "": not given.

    Its bounce and scope are believed. Where it gives none, the account's meaning of the code
    decides, then the provider's table. A hard undelivered is the recipient's fault only where
    nothing is known of its code.
    code: of the provider, or words that its table has as a code
    words: the provider's, where no table knows the code: whether they are an opt-out or a block
    settings: of the account; None: it has no meanings of its own
    """
    own = settings.meaning_of(provider, code) if settings is not None and code else None
    meant = reason_of_phrase(words) or "" if words else ""
    if own is None:
        return _failure(word, bounce, scope, provider, code, meant, False, "", "")
    own_bounce, own_scope = own.bounce or "", own.scope or ""
    return _failure(word, bounce, scope, provider, code, meant, True, own_bounce, own_scope)


@lru_cache(maxsize=16_384)
def _failure(
    word: str,
    bounce: str,
    scope: str,
    provider: str,
    code: str,
    meant: str,
    is_own: bool,
    own_bounce: str,
    own_scope: str,
) -> Failure:
    known = code_of(provider, code) if code else None
    kind = bounce or own_bounce or (known.bounce if known is not None else "")
    status, in_force, default = _FAILURES[word, kind]
    fault = scope or own_scope or (known.scope if known is not None else "")
    if not fault and known is None and not is_own:
        fault = default
    opted_out = known.opt_out if known is not None else meant == OPTED_OUT
    blocked = known.blocked if known is not None else meant == BLOCKED_BY_RECIPIENT
    flags = OPT_OUT | NEVER_RETRIED if opted_out else 0
    if blocked and own_bounce != "soft":
        flags |= NEVER_RETRIED
    return Failure(int(status), int(in_force), fault, flags)


_CODES: Final = [(key, code) for table in PROVIDERS.values() for key, code in table.codes.items()]
_MAY_STRIKE: Final = frozenset(
    key for key, code in _CODES if code.bounce == "hard" and code.scope == "recipient"
)
#: Codes that are words (names, and sentences of AWS) and name a cause.
_WORDS: Final = frozenset(
    key for key, code in _CODES if not key.isdecimal() and code.reason != UNEXPLAINED
)
_LONGEST: Final = max(map(len, _WORDS))
_MAY_OPT_OUT: Final = frozenset(key for key, code in _CODES if code.opt_out)


def may_strike(code: str) -> bool:
    """Whether a code of some provider is a hard bounce of the recipient."""
    return folded(code, numeric=True) in _MAY_STRIKE


def may_opt_out(code: str) -> bool:
    """Whether a code of some provider means that the recipient opted out."""
    return folded(code, numeric=True) in _MAY_OPT_OUT


def code_in(words: str) -> str:
    """The words, where some table has them as a code; "": none has."""
    return words if 0 < len(words) <= _LONGEST and folded(words, numeric=False) in _WORDS else ""
