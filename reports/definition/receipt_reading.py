"""What a receipt means to us, in one line: its own words, and what our tables make of its code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.accounts import CodeMeaning
from models.codes import Code, code_of, reason_of_phrase
from models.codes.reasons import OTHER, UNEXPLAINED
from models.reasons import BY_SCOPE
from models.vocabulary import STATUS_OF_WORD, Status

_DEFAULT_BOUNCE: Final = {Status.UNDELIVERED: "soft", Status.REJECTED: "hard"}


def reading_of(record: Mapping[str, Any]) -> str:
    """How the failure of a receipt is read; "" when it is not a failure.

    record: status, bounce, scope, provider, error_code and error_text as they came; own_reason and
    own_meaning (JSON) of the account for its code, "" for none.
    """
    if not record["status"] or record["event"] != "receipt":
        return ""
    status = STATUS_OF_WORD.get(record["status"])
    if status is None:
        return "decides nothing"
    return _failure(record, status) if status.is_failure else ""


def _failure(record: Mapping[str, Any], status: Status) -> str:
    own = _own_meaning(record["own_meaning"])
    code = code_of(record["provider"], record["error_code"]) if record["error_code"] else None
    known = code.bounce if code else _DEFAULT_BOUNCE.get(status, "")
    bounce = record["bounce"] or own.bounce or known
    is_known = code is not None or own != CodeMeaning()
    default = "" if is_known or (status, bounce) != (Status.UNDELIVERED, "hard") else "recipient"
    scope = record["scope"] or own.scope or (code.scope if code else "") or default
    reason = record["own_reason"] or own.reason or _reason(code, record["error_text"], scope)
    kind = _kind(status, bounce)
    return "".join([kind, f", {scope}" if scope else "", f": {reason}", _note(code)])


def _own_meaning(text: str) -> CodeMeaning:
    return CodeMeaning.model_validate_json(text) if text else CodeMeaning()


def _kind(status: Status, bounce: str) -> str:
    """A temporary refusal is a soft bounce."""
    if status is Status.UNDELIVERED or (status is Status.REJECTED and bounce == "soft"):
        return f"{bounce} bounce"
    return status.word


def _reason(code: Code | None, words: str, scope: str) -> str:
    if code is not None and code.reason:
        return code.reason
    return reason_of_phrase(words) or (OTHER if words else BY_SCOPE.get(scope, UNEXPLAINED))


def _note(code: Code | None) -> str:
    return f" ({code.note})" if code is not None and code.note else ""
