"""What the simulated providers' codes, words and status words mean, by their documentation.

Part of the oracle: shares no code and no data with the worker. Only what simulated traffic has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

UNREACHABLE, UNKNOWN = "absent or switched off", "unknown subscriber"
BARRED, NETWORK, CONTENT = "barred or not able to receive", "network error", "content refused"
BUSY, FULL, THROTTLED = "handset busy", "handset memory full", "too many messages"
SENDER, ROUTE, NOT_VALID = "sender not allowed", "no route to the network", "message not valid"
BLOCKED, BLOCKED_BY_RECIPIENT = "blocked", "blocked by the recipient"
OPTED_OUT, NOT_ON_WHATSAPP = "opted out", "not on WhatsApp"
EXPIRED, CANCELED, OTHER = "expired", "canceled", "other"
UNEXPLAINED = "not explained by the provider"


class Meaning(NamedTuple):
    """What a code means. opted_out: the recipient unsubscribed. blocked: it blocks the sender."""

    bounce: str
    scope: str
    reason: str
    opted_out: bool = False
    blocked: bool = False


_TWILIO = {
    "21610": Meaning("hard", "recipient", OPTED_OUT, opted_out=True),
    "30003": Meaning("soft", "recipient", UNREACHABLE),
    "30004": Meaning("hard", "recipient", BLOCKED, blocked=True),
    "30005": Meaning("hard", "recipient", UNKNOWN),
    "30006": Meaning("hard", "recipient", BARRED),
    "30007": Meaning("hard", "content", CONTENT),
    "30008": Meaning("soft", "", UNEXPLAINED),
    "30017": Meaning("soft", "network", NETWORK),
    "30034": Meaning("hard", "sender", SENDER),
}
_VONAGE = {
    "2": Meaning("soft", "recipient", UNREACHABLE),
    "3": Meaning("hard", "recipient", UNKNOWN),
    "4": Meaning("hard", "recipient", BARRED, blocked=True),
    "6": Meaning("hard", "content", CONTENT),
    "7": Meaning("soft", "recipient", BUSY),
    "8": Meaning("soft", "network", NETWORK),
    "9": Meaning("hard", "recipient", OPTED_OUT, opted_out=True),
    "10": Meaning("hard", "content", NOT_VALID),
    "11": Meaning("hard", "route", ROUTE),
    "14": Meaning("hard", "", BLOCKED),
    "1170": Meaning("hard", "recipient", UNKNOWN),
}
_INFOBIP = {
    "1": Meaning("hard", "recipient", UNKNOWN),
    "9": Meaning("hard", "recipient", UNKNOWN),
    "12": Meaning("hard", "recipient", BARRED),
    "27": Meaning("soft", "recipient", UNREACHABLE),
    "34": Meaning("soft", "network", NETWORK),
    "255": Meaning("soft", "", UNEXPLAINED),
    "573": Meaning("hard", "recipient", BLOCKED_BY_RECIPIENT, blocked=True),
    "603": Meaning("hard", "recipient", OPTED_OUT, opted_out=True),
    # Its status words are codes too, where a receipt has no other.
    "rejected_network": Meaning("hard", "route", ROUTE),
    "undeliverable_not_delivered": Meaning("soft", "", UNEXPLAINED),
}
_WHATSAPP = {
    "130429": Meaning("soft", "account", THROTTLED),
    "131000": Meaning("soft", "network", NETWORK),
    "131026": Meaning("hard", "recipient", NOT_ON_WHATSAPP),
    "131047": Meaning("hard", "time", "outside the allowed time"),
    "131049": Meaning("soft", "policy", THROTTLED),
    "131050": Meaning("hard", "recipient", OPTED_OUT, opted_out=True),
    "132000": Meaning("hard", "content", NOT_VALID),
    "132001": Meaning("hard", "content", NOT_VALID),
}
#: Values that networks agree on, for providers without a table.
_GSM_MAP = {
    "1": Meaning("hard", "recipient", UNKNOWN),
    "6": Meaning("soft", "recipient", UNREACHABLE),
    "9": Meaning("hard", "recipient", UNKNOWN),
    "12": Meaning("hard", "recipient", BARRED),
    "27": Meaning("soft", "recipient", UNREACHABLE),
    "34": Meaning("soft", "network", NETWORK),
    "40": Meaning("soft", "recipient", FULL),
    "255": Meaning("soft", "", UNEXPLAINED),
}
#: Sinch has codes of its own; the simulated ones are not among them.
_TABLES: Mapping[str, Mapping[str, Meaning]] = {
    "twilio": _TWILIO, "vonage": _VONAGE, "infobip": _INFOBIP, "sinch": {},
    "whatsapp": _WHATSAPP, "360dialog": _WHATSAPP,
}  # fmt: skip


@lru_cache(maxsize=10_000)
def meaning_of(provider: str, code: str) -> Meaning | None:
    """What a code of a provider means; None for one that its table does not have.

    Letters in any case; zeroes before a number do not count. Only Meta has codes of six digits
    from 130000 on: whoever reports a WhatsApp message passes them on, also a receipt that names
    no provider.
    """
    plain = code.strip().lower()
    if plain.isdecimal():
        plain = plain.lstrip("0") or "0"
    known = _TABLES.get(provider.strip().lower(), _GSM_MAP).get(plain)
    return known or (_WHATSAPP.get(plain) if len(plain) == 6 else None)


#: Providers' words for a cause, without case, punctuation and words with a digit.
_PHRASES = {
    "absent subscriber": UNREACHABLE, "absent subscriber permanent": UNKNOWN,
    "absent subscriber temporary": UNREACHABLE, "unknown subscriber": UNKNOWN,
    "illegal subscriber": UNKNOWN, "illegal equipment": BARRED, "handset busy": BUSY,
    "handset memory full": FULL, "system failure": NETWORK, "network error": NETWORK,
    "unknown error": UNEXPLAINED, "message deleted": CANCELED, "message blocked": BLOCKED,
    "validity period expired": EXPIRED, "message filtered": CONTENT, "unroutable": ROUTE,
    "message undeliverable": UNEXPLAINED, "illegal message": NOT_VALID,
}  # fmt: skip


def reason_of_words(words: str) -> str:
    """Our reason for a provider's words; "" for words that we do not know."""
    kept = [word for word in words.lower().split() if not any(c.isdigit() for c in word)]
    letters = "".join(c if c.isalpha() else " " for c in " ".join(kept))
    return _PHRASES.get(" ".join(letters.split()), "")


SCOPES = {"recipient": UNKNOWN, "content": CONTENT, "sender": SENDER, "route": ROUTE,
          "account": "account not allowed", "network": NETWORK, "policy": BLOCKED,
          "time": EXPIRED}  # fmt: skip

#: The statuses of messages by the words of receipts, in small letters.
_STATUSES = {
    "submitted": "submitted", "queued": "queued", "sent": "queued", "delivered": "delivered",
    "read": "read", "undelivered": "undelivered", "rejected": "rejected", "deleted": "deleted",
    "unknown": "unknown",
    "accepted": "queued", "sending": "queued", "buffered": "queued", "enroute": "queued",
    "acceptd": "queued", "pendingenroute": "queued", "dispatched": "queued",
    "delivrd": "delivered", "deliveredtohandset": "delivered", "seen": "read",
    "undeliv": "undelivered", "failed": "undelivered", "expired": "undelivered",
    "undeliverablenotdelivered": "undelivered",
    "rejectd": "rejected", "rejectednetwork": "rejected", "aborted": "rejected",
    "cancelled": "deleted", "unconfirmed": "unknown",
}  # fmt: skip


@lru_cache(maxsize=1_000)
def status_of_word(word: str) -> str:
    """The status that a receipt gives its message; "unknown" decides nothing.

    Case and punctuation do not count. Raises KeyError for a word that is none.
    """
    return _STATUSES["".join(c for c in word.lower() if c.isalnum())]
