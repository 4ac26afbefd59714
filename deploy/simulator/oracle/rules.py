"""Settings of accounts, what a failure means under them, and when the next attempt is due.

Part of the oracle: written from the rules as text, shares no code with the worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from deploy.simulator.oracle.codes import (
    OTHER,
    SCOPES,
    UNEXPLAINED,
    meaning_of,
    reason_of_words,
)


class CodeEntry(NamedTuple):
    """An account's own meaning of a code; "": as in the tables."""

    bounce: str = ""
    scope: str = ""
    reason: str = ""


class Rules(NamedTuple):
    """The settings of one account; 0 or empty: none. A missing account has the defaults."""

    suppress_hard_bounces: bool = True
    strike_limit: int = 3
    strikes_reset_on_delivery: bool = False
    suppression_days: int = 0
    retry_soft_bounces: bool = True
    retry_every_s: int = 3_600
    retry_for_s: int = 172_800
    validity_s: int = 259_200
    time_zone: str = "UTC"
    text_days: int = 0
    recipient_days: int = 0
    unsubscribe_binds: str = "marketing"
    fail_reasons: tuple[tuple[str, str], ...] = ()
    codes: tuple[tuple[str, CodeEntry], ...] = ()


DEFAULTS = Rules()
MAX_ATTEMPTS = 100


def rules_of(fields: Mapping[str, Any]) -> Rules:
    """The rules of one record of `accounts`; absent fields have their defaults."""
    given = {name: fields[name] for name in Rules._fields if fields.get(name) is not None}
    if "fail_reasons" in given:
        given["fail_reasons"] = _by_code(given["fail_reasons"])
    if "codes" in given:
        entries = {code: CodeEntry(**entry) for code, entry in given["codes"].items()}
        given["codes"] = _by_code(entries)
    return Rules(**given)


def _by_code(entries: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Codes in small letters, sorted."""
    return tuple(sorted((code.lower(), entry) for code, entry in entries.items()))


def entry_of(rules: Rules, provider: str, code: str) -> CodeEntry | None:
    """The account's own meaning of a code; what it says of one provider comes first."""
    if not rules.codes or not code:
        return None
    own, name = dict(rules.codes), code.lower()
    return own.get(f"{provider.lower()}:{name}") or own.get(name)


def fail_reason(rules: Rules, provider: str, code: str, text: str, scope: str) -> str:
    """The reason of a failure, the first one known of: the account's text for the code, the
    table's, that of the provider's words, "other" for words that we do not know, that of the scope.
    """
    own, name = dict(rules.fail_reasons), code.lower()
    entry = entry_of(rules, provider, code)
    known = meaning_of(provider, code or text)
    return (
        own.get(f"{provider.lower()}:{name}")
        or own.get(name)
        or (entry.reason if entry else "")
        or (known.reason if known else "")
        or (reason_of_words(text) or OTHER if text else SCOPES.get(scope, UNEXPLAINED))
    )


def due_at(first_sent_at: int, bounced_at: int, ends_at: int, rules: Rules) -> int:
    """When the next attempt is due (epoch ms), 0: never.

    The first whole number of periods after the bounce, counted from the first send; at most
    `retry_for_s` after it, and before the validity of the message ends.
    """
    period = rules.retry_every_s * 1000
    moment = first_sent_at + period
    if moment <= bounced_at:
        moment += (bounced_at - moment) // period * period + period
    late = moment > first_sent_at + rules.retry_for_s * 1000 or moment >= ends_at
    return 0 if late or not rules.retry_soft_bounces else moment
