"""What a provider's code, words or status word mean; read once from the TOML files here.

A code decides bounce, scope and reason. A file of `data/` is one provider's table; `phrases.toml`
brings providers' words to our reasons, `statuses.toml` their status words to ours. The same number
means different things to different providers, and SMPP `err` values differ by route: decimal codes
of a provider without a table are read as the common GSM MAP values.

What a receipt gives itself is believed before its code; an account may override bounce, scope and
reason of any code (`models/accounts.py`), and by a soft bounce allow to retry a block. An opt-out
stays one.

Raises BadCodeTable at import when a file has a mistake.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final

from models.codes.reasons import REASONS
from models.codes.tables import (
    BadCodeTable,
    Code,
    CodeTable,
    folded,
    phrase_key,
    provider_key,
    read_phrases,
    read_statuses,
    read_tables,
    status_key,
)

__all__ = [
    "PHRASES",
    "PROVIDERS",
    "REASONS",
    "STATUSES",
    "BadCodeTable",
    "Code",
    "CodeTable",
    "code_names",
    "code_of",
    "listed_status",
    "reason_of_phrase",
    "status_of_word",
    "table_of",
]

_HERE: Final = files(__package__)
_TABLES: Final = read_tables(
    {
        file.name: file.read_text("utf-8")
        for file in sorted(_HERE.joinpath("data").iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    }
)
_COMMON: Final = _TABLES["gsm-map"]
_META: Final = _TABLES["whatsapp"]

#: Tables by the provider's name, without aliases.
PROVIDERS: Final[Mapping[str, CodeTable]] = {
    table.provider: table for key, table in sorted(_TABLES.items()) if key == table.provider
}
#: Reasons by phrase (`phrase_key`).
PHRASES: Final[Mapping[str, str]] = read_phrases(
    "phrases.toml",
    _HERE.joinpath("phrases.toml").read_text("utf-8"),
    (code for table in PROVIDERS.values() for code in table.codes.values()),
)
#: Receipt status words by the providers' words, as written.
STATUSES: Final[Mapping[str, str]] = read_statuses(
    "statuses.toml", _HERE.joinpath("statuses.toml").read_text("utf-8")
)
_LISTED: Final = {status_key(word): word for word in reversed(tuple(STATUSES))}


def table_of(provider: str) -> CodeTable | None:
    """The table of a provider or of one of its aliases, in any case."""
    return _TABLES.get(provider_key(provider))


@lru_cache(maxsize=16_384)
def code_of(provider: str, code: str) -> Code | None:
    """What a provider's code means; None for a code that its table does not have."""
    found = _TABLES.get(provider_key(provider), _COMMON).find(code)
    if found is None and _is_metas(code):
        return _META.find(code)  # whoever passes WhatsApp's messages on passes its codes on too
    return found


def _is_metas(code: str) -> bool:
    """Whether a code is as long as those that only Meta has: six digits, 130000 to 139999."""
    code = code.strip()
    return len(code) == 6 and code.isdecimal() and code.startswith("13")


@lru_cache(maxsize=16_384)
def code_names(provider: str, code: str) -> tuple[str, str]:
    """The names under which an account may give a code: "provider:code", and the code alone.

    All spellings of a code, and all names of a provider, have the same.
    """
    key = provider_key(provider)
    table = _TABLES.get(key, _COMMON)
    known = table.find(code)
    own = folded(known.code if known is not None else code, table.numeric)
    name = table.provider if key in _TABLES else key
    return f"{name}:{own}", folded(code, numeric=True)


@lru_cache(maxsize=4_096)
def reason_of_phrase(words: str) -> str | None:
    """Our reason for a provider's words; ids, times and numbers in them do not count."""
    return PHRASES.get(phrase_key(words))


def listed_status(word: str) -> str | None:
    """A provider's status word as `STATUSES` spells it; case and punctuation do not count."""
    return _LISTED.get(status_key(word))


def status_of_word(word: str) -> str | None:
    """Our receipt status word for a provider's, in any case; "unknown" decides nothing."""
    listed = listed_status(word)
    return STATUSES[listed] if listed is not None else None
