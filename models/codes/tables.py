"""Reading the tables of provider codes; every mistake names its file and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, get_args

import msgspec

from models.codes.reasons import OTHER, REASONS
from models.vocabulary import UNKNOWN_WORD, BounceWord, ReceiptWord, Scope

#: The status words of the tables: those of receipts, and one that decides nothing.
STATUS_WORDS: Final = (*get_args(ReceiptWord), UNKNOWN_WORD)
_WORD: Final = re.compile(r"[^\W_]+")
_DIGIT: Final = re.compile(r"\d")
_SEPARATORS: Final = str.maketrans(" _.", "---")


class BadCodeTable(ValueError):
    """A table has a mistake; the text names the file, the key and what is allowed."""


class Code(msgspec.Struct, frozen=True, gc=False):
    """What one code of a provider means. provider: whose table it is from."""

    provider: str
    code: str
    bounce: str
    scope: str
    reason: str
    opt_out: bool
    blocked: bool
    words: str
    source: str
    name: str = ""

    @property
    def note(self) -> str:
        """What sets the code apart for unsubscribes and retries; "" for most."""
        return "opt-out" if self.opt_out else "never retried" if self.blocked else ""


class CodeTable(msgspec.Struct, frozen=True):
    """The codes of one provider, by folded code and name; `extends` are in `codes` already."""

    provider: str
    aliases: tuple[str, ...]
    extends: tuple[str, ...]
    source: str
    numeric: bool
    codes: Mapping[str, Code]

    def find(self, code: str) -> Code | None:
        """The code's meaning; letters in any case."""
        return self.codes.get(folded(code, self.numeric))

    def listed(self) -> list[Code]:
        """Every code once, those of `extends` after the provider's own."""
        return [code for code in dict.fromkeys(self.codes.values()) if self.find(code.code) is code]


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    bounce: BounceWord
    scope: Scope | Literal[""]
    reason: str
    words: str
    opt_out: bool = False
    blocked: bool = False
    name: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    provider: str
    aliases: tuple[str, ...]
    numeric: bool
    source: str
    codes: dict[str, Any]
    extends: tuple[str, ...] = ()


def provider_key(provider: str) -> str:
    """A provider's name without regard to case, spaces, dots and underscores."""
    return provider.strip().casefold().translate(_SEPARATORS)


def folded(code: str, numeric: bool) -> str:
    """A code as it is compared: without case and, where codes are numbers, leading zeroes."""
    code = code.strip().casefold()
    if numeric and code.isascii() and code.isdigit():
        return code.lstrip("0") or "0"
    return code


def phrase_key(words: str) -> str:
    """Words without case and punctuation; those with a digit (ids, times, numbers) are left out."""
    plain = " ".join(word for word in words.casefold().split() if not _DIGIT.search(word))
    return " ".join(_WORD.findall(plain))


def status_key(word: str) -> str:
    """A status word without case and punctuation."""
    return "".join(_WORD.findall(word.casefold()))


def read_tables(files: Mapping[str, str]) -> dict[str, CodeTable]:
    """Tables by provider and alias (`provider_key`). files: TOML texts by file name.

    Raises BadCodeTable.
    """
    parsed = {name: _parsed(name, text) for name, text in files.items()}
    own = {name: _codes(name, file) for name, file in parsed.items()}
    names = _names(parsed)
    tables = {
        name: CodeTable(
            file.provider,
            file.aliases,
            file.extends,
            file.source,
            file.numeric,
            _merged(name, parsed, own, names, ()),
        )
        for name, file in parsed.items()
    }
    return {key: tables[name] for key, name in names.items()}


def _parsed(name: str, text: str) -> _File:
    try:
        return msgspec.convert(tomllib.loads(text), _File, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadCodeTable(f"{name}: {error}") from None


def _names(parsed: Mapping[str, _File]) -> dict[str, str]:
    """File names by provider and alias."""
    names: dict[str, str] = {}
    for name, file in parsed.items():
        for provider in (file.provider, *file.aliases):
            other = names.setdefault(provider_key(provider), name)
            if other != name or provider_key(provider) != provider:
                fix = f"{other} has it too" if other != name else "write it in lower case, with -"
                raise BadCodeTable(f"{name}: provider or alias {provider!r}: {fix}")
    return names


def _codes(name: str, file: _File) -> dict[str, Code]:
    """A file's own codes, by folded code and name."""
    codes: dict[str, Code] = {}
    for code, value in file.codes.items():
        row = _row(f"{name}: code {code!r}", value)
        meaning = Code(
            file.provider,
            code,
            row.bounce,
            row.scope,
            row.reason,
            row.opt_out,
            row.blocked,
            row.words,
            file.source,
            row.name,
        )
        for key in {folded(spelling, file.numeric) for spelling in (code, row.name) if spelling}:
            if key in codes:
                raise BadCodeTable(f"{name}: code {code!r}: {codes[key].code!r} is the same code")
            codes[key] = meaning
    return codes


def _row(where: str, value: Any) -> _Row:
    try:
        row = msgspec.convert(value, _Row, strict=True)
    except msgspec.ValidationError as error:
        raise BadCodeTable(f"{where}: {error}") from None
    _checked_reason(where, row.reason)
    if (row.opt_out or row.blocked) and row.bounce != "hard":
        raise BadCodeTable(f"{where}: an opt-out or a block is a hard bounce")
    return row


def _checked_reason(where: str, reason: str) -> None:
    if reason not in REASONS or reason == OTHER:
        raise BadCodeTable(f"{where}: {reason!r} is not in the list of reasons")


def _merged(
    name: str,
    parsed: Mapping[str, _File],
    own: Mapping[str, dict[str, Code]],
    names: Mapping[str, str],
    seen: tuple[str, ...],
) -> dict[str, Code]:
    """A file's codes and those of the tables it extends; the first that has a code decides."""
    if name in seen:
        raise BadCodeTable(f"{name}: extends itself through {' and '.join(seen)}")
    codes = dict(own[name])
    for provider in parsed[name].extends:
        if provider not in names:
            raise BadCodeTable(f"{name}: extends {provider!r}, which has no table")
        for key, code in _merged(names[provider], parsed, own, names, (*seen, name)).items():
            codes.setdefault(key, code)
    return codes


def read_phrases(name: str, text: str, named: Iterable[Code] = ()) -> dict[str, str]:
    """Reasons by `phrase_key`: those of the file, the reasons themselves, and codes' names.

    Raises BadCodeTable for an unknown reason and for a phrase with two.
    """
    phrases = {phrase_key(reason): reason for reason in REASONS if reason != OTHER}
    for phrase, reason in _pairs(name, text):
        where = f"{name}: {phrase!r}"
        _checked_reason(where, reason)
        _add(phrases, phrase_key(phrase), reason, where)
    for code in named:
        if phrase_key(code.name):  # "EC_ACC_NOT_2_WAY" has a digit: a code, but not a phrase
            where = f"{code.provider}: name {code.name!r}"
            _add(phrases, phrase_key(code.name), code.reason, where)
    return phrases


def read_statuses(name: str, text: str) -> dict[str, str]:
    """Receipt status words by the providers' words as written; ours mean themselves.

    Raises BadCodeTable for an unknown status and for a word (`status_key`) with two.
    """
    statuses = {word: word for word in STATUS_WORDS}
    keys = dict(statuses)
    for word, status in _pairs(name, text):
        where = f"{name}: {word!r}"
        if status not in STATUS_WORDS:
            raise BadCodeTable(f"{where}: {status!r} is not a status")
        _add(keys, status_key(word), status, where)
        statuses[word] = status
    return statuses


def _add(known: dict[str, str], key: str, value: str, where: str) -> None:
    if not key:
        raise BadCodeTable(f"{where}: nothing is left of it without digits and punctuation")
    other = known.setdefault(key, value)
    if other != value:
        raise BadCodeTable(f"{where}: means {other!r} already")


def _pairs(name: str, text: str) -> Iterator[tuple[str, str]]:
    try:
        lists = msgspec.convert(tomllib.loads(text), dict[str, list[str]], strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadCodeTable(f"{name}: {error}") from None
    for value, words in lists.items():
        for word in words:
            yield word, value
