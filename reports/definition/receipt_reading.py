"""What a receipt means to us, in one line: its own words, and what its code means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.accounts import AccountSettings, CodeMeaning
from models.codes import code_names
from models.facts import Outcome
from models.failures import BOUNCING, NEVER_RETRIED, OPT_OUT, Failure, code_in, failure_of
from models.reasons import reason_of
from models.vocabulary import STATUS_OF_WORD, Bounce, Status

_WORDS: Final = {status.value: status.word for status in Status}


def reading_of(record: Mapping[str, Any]) -> str:
    """How the failure of a receipt is read; "" when it is not a failure.

    record: event, and status, bounce, scope, provider, error_code and error_text as they came;
    own_reason and own_meaning (JSON) of the account for its code, "" for none.
    """
    if record["event"] != "receipt":
        return ""
    status = STATUS_OF_WORD.get(record["status"])
    if status is None:
        return "decides nothing"
    return _reading(record, status) if status.is_failure else ""


def _reading(record: Mapping[str, Any], status: Status) -> str:
    settings, failure = _settings(record), Failure(status.value, Bounce.NONE, record["scope"], 0)
    if record["status"] in BOUNCING:
        code = record["error_code"] or code_in(record["error_text"])
        given = record["bounce"], record["scope"], record["provider"], code, record["error_text"]
        failure = failure_of(record["status"], *given, settings)
    outcome = Outcome(
        attempt=1,
        status=failure.status,
        bounce=failure.bounce,
        occurred_at=0,
        scope=failure.scope,
        error_code=record["error_code"],
        reason=record["error_text"],
    )
    reason = reason_of(outcome, record["provider"], settings)
    scope = f", {failure.scope}" if failure.scope else ""
    return f"{_kind(failure)}{scope}: {reason}{_note(failure)}"


def _settings(record: Mapping[str, Any]) -> AccountSettings:
    """Those of the account that matter for this code."""
    code, meaning, reason = record["error_code"], record["own_meaning"], record["own_reason"]
    codes = {code_names("", code)[1]: CodeMeaning.model_validate_json(meaning)} if meaning else {}
    fail_reasons = {code.lower(): reason} if reason else {}
    return AccountSettings.model_construct(codes=codes, fail_reasons=fail_reasons)


def _kind(failure: Failure) -> str:
    if failure.status == Status.UNDELIVERED.value:
        return f"{Bounce(failure.bounce).name.lower()} bounce"
    return _WORDS[failure.status]


def _note(failure: Failure) -> str:
    if failure.flags & OPT_OUT:
        return " (opt-out)"
    return " (never retried)" if failure.flags & NEVER_RETRIED else ""
