"""Why a message failed, in words for people: the closed list of models/codes/reasons.py.

Codes are specific to a provider: the same number has different meanings, and SMPP `err` values
differ by route. An account may override any entry with words of its own.
"""

from typing import Final

from models.accounts import AccountSettings
from models.codes import code_of, reason_of_phrase
from models.codes.reasons import (
    ACCOUNT_REFUSED,
    BLOCKED,
    CONTENT_REFUSED,
    EXPIRED,
    NETWORK_ERROR,
    NO_ROUTE,
    OTHER,
    SENDER_REFUSED,
    UNEXPLAINED,
    UNKNOWN_SUBSCRIBER,
)
from models.facts import Outcome, code_of_failure
from models.outcomes import provider_at
from models.retries import retry_decision
from models.state import MessageState, is_pending
from models.vocabulary import SUCCESSES

#: Reasons where neither the code nor the words explain the failure.
BY_SCOPE: Final = {
    "recipient": UNKNOWN_SUBSCRIBER,
    "content": CONTENT_REFUSED,
    "sender": SENDER_REFUSED,
    "account": ACCOUNT_REFUSED,
    "route": NO_ROUTE,
    "network": NETWORK_ERROR,
    "policy": BLOCKED,
    "time": EXPIRED,
}


def reason_of(outcome: Outcome, provider: str, settings: AccountSettings) -> str:
    """The reason shown for a failed message; never empty.

    The first that exists: the account's words for "provider:code" or for the code, the meaning of
    the code, that of the provider's words, `other` for words that are not in the list,
    the meaning of the scope.
    provider: that explains the code; case does not matter
    """
    code = code_of_failure(outcome)
    known = code_of(provider, code) if code else None
    return (
        _words_of_account(provider, code, settings)
        or (known.reason if known is not None else None)
        or (reason_of_phrase(outcome.reason) or OTHER if outcome.reason else None)
        or BY_SCOPE.get(outcome.scope, UNEXPLAINED)
    )


def _words_of_account(provider: str, code: str, settings: AccountSettings) -> str | None:
    if not code:
        return None
    own, name, number = settings.fail_reasons, provider.lower(), code.lower()
    if own and (words := own.get(f"{name}:{number}") or own.get(number)):
        return words
    meaning = settings.meaning_of(provider, code)
    return meaning.reason if meaning is not None else None


def annotate(state: MessageState, settings: AccountSettings) -> None:
    """Set the fields that explain a failure: its reason, and why there is no further attempt."""
    outcome = state.outcome
    if outcome is not None and outcome.status in SUCCESSES:
        state.fail_reason, state.no_retry, state.next_attempt_at = "", "", 0
    elif is_pending(state):
        expired = bool(state.expired_at) and bool(state.sends)
        state.fail_reason = EXPIRED if expired else ""
        state.no_retry, state.next_attempt_at = ("expired", 0) if expired else ("", 0)
    else:
        assert outcome is not None  # not pending
        _annotate_failure(state, outcome, settings)


def _annotate_failure(state: MessageState, outcome: Outcome, settings: AccountSettings) -> None:
    provider = outcome.provider or provider_at(state.sends, outcome.attempt)
    state.fail_reason = reason_of(outcome, provider, settings)
    if state.sends:
        state.no_retry, state.next_attempt_at = retry_decision(state, settings)
