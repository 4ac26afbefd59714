"""Settings of accounts and reasons of failures.

Part of the oracle: written from the rules as text, shares no code with the worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

UNREACHABLE, UNKNOWN = "absent or switched off", "unknown subscriber"
BARRED, NETWORK, CONTENT = "barred or not able to receive", "network error", "content refused"
FULL, THROTTLED, BLOCKED = "handset memory full", "too many messages", "blocked"
SENDER, ROUTE = "sender not allowed", "no route to the network"
UNEXPLAINED = "not explained by the provider"

#: Reasons for the codes of simulated providers. sinch has a table too; its simulated codes are not
#: in it.
REASONS: Mapping[str, Mapping[str, str]] = {
    "twilio": {"30003": UNREACHABLE, "30005": UNKNOWN, "30006": BARRED, "30007": CONTENT,
               "30017": NETWORK, "30034": SENDER},
    "vonage": {"2": UNREACHABLE, "3": UNKNOWN, "6": CONTENT, "7": "handset busy", "8": NETWORK,
               "9": UNKNOWN, "10": CONTENT, "11": ROUTE, "14": BLOCKED},
    "whatsapp": {"131026": UNREACHABLE, "131047": "outside the allowed time",
                 "131049": THROTTLED, "130429": THROTTLED, "132000": CONTENT, "132001": CONTENT},
    "sinch": {},
}  # fmt: skip
#: For providers without a table that give no reason.
COMMON = {"027": UNREACHABLE, "040": FULL, "034": NETWORK, "255": NETWORK, "001": UNKNOWN,
        "009": UNKNOWN, "012": BARRED}  # fmt: skip
SCOPES = {"recipient": UNKNOWN, "content": CONTENT, "sender": SENDER, "route": ROUTE,
          "account": "account not allowed", "network": NETWORK, "policy": BLOCKED,
          "time": "expired"}  # fmt: skip


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
    fail_reasons: tuple[tuple[str, str], ...] = ()


DEFAULTS = Rules()
MAX_ATTEMPTS = 100


def rules_of(fields: Mapping[str, Any]) -> Rules:
    """The rules of one record of `accounts`; absent fields have their defaults."""
    given = {name: fields[name] for name in Rules._fields if fields.get(name) is not None}
    if "fail_reasons" in given:
        given["fail_reasons"] = tuple(sorted(given["fail_reasons"].items()))
    return Rules(**given)


def fail_reason(rules: Rules, provider: str, code: str, text: str, scope: str) -> str:
    """The reason of a failure, the first one known of: the account's text for the code, our text,
    the provider's text, the usual meaning of the code, that of the scope."""
    own = dict(rules.fail_reasons)
    named = own.get(f"{provider}:{code}") or own.get(code) or REASONS.get(provider, {}).get(code)
    common = COMMON.get(code) if provider not in REASONS else None
    return named or text or common or SCOPES.get(scope, UNEXPLAINED)


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
