"""Why a message failed, in words for people.

Codes are specific to a provider: the same number has different meanings, and SMPP `err` values
differ by route. So for a provider without a table here its own words count, and only without words
its codes are read as the common GSM MAP values. An account may override any entry. The tables
follow the providers' documentation.
"""

from typing import Final

from models.accounts import AccountSettings
from models.facts import Outcome
from models.retries import retry_decision
from models.state import MessageState, is_pending, provider_of
from models.vocabulary import SUCCESSES

UNKNOWN_SUBSCRIBER: Final = "unknown subscriber"
UNREACHABLE: Final = "absent or switched off"
BARRED: Final = "barred or not able to receive"
BLOCKED: Final = "blocked"
OPTED_OUT: Final = "opted out"
CONTENT_REFUSED: Final = "content refused"
TOO_LONG: Final = "message too long"
SENDER_REFUSED: Final = "sender not allowed"
NO_CREDIT: Final = "no credit"
ACCOUNT_REFUSED: Final = "account not allowed"
NO_ROUTE: Final = "no route to the network"
NETWORK_ERROR: Final = "network error"
MEMORY_FULL: Final = "handset memory full"
BUSY: Final = "handset busy"
THROTTLED: Final = "too many messages"
WINDOW_CLOSED: Final = "outside the allowed time"
EXPIRED: Final = "expired"

#: The common GSM MAP values, as SMPP receipts carry them.
GSM: Final = {
    "1": UNKNOWN_SUBSCRIBER,
    "2": UNKNOWN_SUBSCRIBER,
    "5": UNKNOWN_SUBSCRIBER,
    "6": UNREACHABLE,
    "8": BARRED,
    "9": UNKNOWN_SUBSCRIBER,
    "10": BARRED,
    "11": BARRED,
    "12": BARRED,
    "13": BARRED,
    "21": BARRED,
    "27": UNREACHABLE,
    "31": BUSY,
    "32": NETWORK_ERROR,
    "33": MEMORY_FULL,
    "34": NETWORK_ERROR,
    "35": NETWORK_ERROR,
    "36": NETWORK_ERROR,
    "40": MEMORY_FULL,
    "255": NETWORK_ERROR,
    "256": MEMORY_FULL,
    "260": NETWORK_ERROR,
}

BY_PROVIDER: Final[dict[str, dict[str, str]]] = {
    "twilio": {
        "30001": THROTTLED,
        "30002": ACCOUNT_REFUSED,
        "30003": UNREACHABLE,
        "30004": BLOCKED,
        "30005": UNKNOWN_SUBSCRIBER,
        "30006": BARRED,
        "30007": CONTENT_REFUSED,
        "30010": NO_CREDIT,
        "30017": NETWORK_ERROR,
        "30019": TOO_LONG,
        "30022": THROTTLED,
        "30034": SENDER_REFUSED,
        "30410": NETWORK_ERROR,
        "21211": UNKNOWN_SUBSCRIBER,
        "21408": ACCOUNT_REFUSED,
        "21606": SENDER_REFUSED,
        "21610": OPTED_OUT,
        "21614": BARRED,
        "21617": TOO_LONG,
        "63016": WINDOW_CLOSED,
        "63018": THROTTLED,
    },
    "vonage": {
        "2": UNREACHABLE,
        "3": UNKNOWN_SUBSCRIBER,
        "4": BARRED,
        "5": NO_ROUTE,
        "6": CONTENT_REFUSED,
        "7": BUSY,
        "8": NETWORK_ERROR,
        "9": UNKNOWN_SUBSCRIBER,
        "10": CONTENT_REFUSED,
        "11": NO_ROUTE,
        "12": UNREACHABLE,
        "14": BLOCKED,
        "15": NO_CREDIT,
        "16": THROTTLED,
        "1180": UNREACHABLE,
        "1190": UNKNOWN_SUBSCRIBER,
        "1210": CONTENT_REFUSED,
        "1240": OPTED_OUT,
        "1250": NO_ROUTE,
        "1280": BLOCKED,
        "1290": NO_CREDIT,
        "1340": WINDOW_CLOSED,
    },
    "plivo": {
        "10": CONTENT_REFUSED,
        "20": NETWORK_ERROR,
        "30": CONTENT_REFUSED,
        "40": SENDER_REFUSED,
        "50": UNKNOWN_SUBSCRIBER,
        "70": UNKNOWN_SUBSCRIBER,
        "80": UNREACHABLE,
        "90": NO_ROUTE,
        "100": BLOCKED,
        "110": TOO_LONG,
        "200": OPTED_OUT,
    },
    "telnyx": {
        "40001": BARRED,
        "40002": CONTENT_REFUSED,
        "40003": CONTENT_REFUSED,
        "40004": BLOCKED,
        "40005": EXPIRED,
        "40006": NETWORK_ERROR,
        "40009": CONTENT_REFUSED,
        "40011": THROTTLED,
        "40300": OPTED_OUT,
    },
    "sinch": {
        "402": NO_ROUTE,
        "403": NETWORK_ERROR,
        "404": UNREACHABLE,
        "405": CONTENT_REFUSED,
        "406": EXPIRED,
        "410": SENDER_REFUSED,
        "411": TOO_LONG,
        "412": ACCOUNT_REFUSED,
        "413": BLOCKED,
    },
    "whatsapp": {
        "131026": UNREACHABLE,
        "131047": WINDOW_CLOSED,
        "131048": THROTTLED,
        "131049": THROTTLED,
        "131050": OPTED_OUT,
        "131051": CONTENT_REFUSED,
        "130429": THROTTLED,
        "130472": BLOCKED,
        "131042": NO_CREDIT,
        "131031": ACCOUNT_REFUSED,
        "132000": CONTENT_REFUSED,
        "132001": CONTENT_REFUSED,
    },
}

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
UNEXPLAINED: Final = "not explained by the provider"


def reason_of(outcome: Outcome, provider: str, settings: AccountSettings) -> str:
    """The reason shown for a failed message; never empty.

    The first that exists: the account's words for "provider:code" or for the code, the provider's
    table, the provider's words, the common meaning of the code (only for a provider without a
    table), the meaning of the scope.
    provider: of the message; case does not matter
    """
    code, name = outcome.error_code.lower(), provider.lower()
    own, table = settings.fail_reasons, BY_PROVIDER.get(name)
    known = own.get(f"{name}:{code}") or own.get(code) or (table or {}).get(code)
    common = GSM.get(code.lstrip("0")) if table is None else None
    return known or outcome.reason or common or BY_SCOPE.get(outcome.scope, UNEXPLAINED)


def annotate(state: MessageState, settings: AccountSettings) -> None:
    """Set the fields that explain a failure: its reason, and why there is no further attempt."""
    outcome = state.outcome
    if is_pending(state):
        expired = bool(state.expired_at) and bool(state.sends)
        state.fail_reason = EXPIRED if expired else ""
        state.no_retry, state.next_attempt_at = ("expired", 0) if expired else ("", 0)
    elif outcome is None or outcome.status in SUCCESSES:
        state.fail_reason, state.no_retry, state.next_attempt_at = "", "", 0
    else:
        _annotate_failure(state, outcome, settings)


def _annotate_failure(state: MessageState, outcome: Outcome, settings: AccountSettings) -> None:
    state.fail_reason = reason_of(outcome, provider_of(state), settings)
    if state.sends:
        state.no_retry, state.next_attempt_at = retry_decision(state, settings)
