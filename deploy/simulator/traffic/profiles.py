"""Fixed data of the simulator: accounts, providers, failure codes, texts.

Providers publish these shares, delays and codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from types import MappingProxyType
from typing import NamedTuple

HOUR_S = 3600
DEFAULT_VALIDITY_S = 72 * HOUR_S
VALIDITIES_S = (HOUR_S, 4 * HOUR_S, 6 * HOUR_S, 24 * HOUR_S, 48 * HOUR_S, 72 * HOUR_S)


class Weighted(NamedTuple):
    """Choices with cumulative weights, ready for `Random.choices(cum_weights=...)`."""

    names: tuple[str, ...]
    cumulative: tuple[float, ...]


def weighted(**shares: float) -> Weighted:
    """Choices by share; shares need not add up to one."""
    return Weighted(tuple(shares), tuple(accumulate(shares.values())))


NO_SETTINGS: Mapping[str, object] = MappingProxyType({})


class Account(NamedTuple):
    """A tenant: its share of the traffic, its recipients, and the format its software writes.

    settings: fields of its record of `accounts`; empty when it has none.
    """

    name: str
    share: float
    whatsapp: float  # share of its messages on WhatsApp
    countries: Weighted
    sources: Weighted
    contacts: int  # size of its address book in each country
    zone: str  # how its services write times: "ms", "Z" or a key of ZONES
    extra: str  # an unknown field its services add, "" for none
    country_share: float  # share of sends with a country
    seconds_only: bool  # its services write whole seconds
    nulls: bool = False  # its services write null for unknown fields, decimals as text
    reference: bool = False  # its services give messages a reference of their own
    list_use: float = 1.0  # share of its sends that respect the list of suppressed recipients
    settings: Mapping[str, object] = NO_SETTINGS


class Provider(NamedTuple):
    """A provider: which receipts it sends, how late, and how it writes times."""

    name: str
    steps: tuple[str, ...]  # statuses before the final one
    median_s: float  # of the time to deliver
    callback_s: float  # mean delay from occurred_at to arrival
    zone: str
    seconds_only: bool
    gives_bounce: bool  # its receipts have a bounce
    codes: str  # which family of error codes: a key of HARD, SOFT and REJECTED
    gives_reason: bool = True  # its receipts have a reason
    price: tuple[object, str] | None = None  # of a part, as its receipts write it; currency
    networks: bool = False  # its final receipts have the network's code
    by_part: bool = False  # it reports each part of a long message
    early_id: bool = False  # it gives its message id at once: the send has it


ACCOUNTS = (
    Account("acme-retail", 0.34, 0.30, weighted(US=5, CA=2, GB=2, DO=0.4, PR=0.3, MX=1.2),
            weighted(campaign=0.55, program=0.15, direct=0.1, open_api_direct=0.1,
                     open_api_verification=0.1), 120_000, "Z", "", 0.1, False),
    Account("nordbank", 0.20, 0.05, weighted(FI=3, NO=2, DE=4, GB=1, JE=0.5, GG=0.3),
            weighted(verification=0.35, open_api_verification=0.35, direct=0.2, program=0.1),
            50_000, "ms", "trace_id", 0.0, False, reference=True, settings={
                "strike_limit": 2, "validity_s": 48 * HOUR_S, "time_zone": "Europe/Helsinki",
                "text_days": 30, "codes": {
                    "vonage:8": {"bounce": "hard", "scope": "route", "reason": "route is down"}}}),
    Account("tripzilla", 0.18, 0.55, weighted(IN=4, ID=3, AU=1, AE=1, PH=2, TR=1),
            weighted(campaign=0.35, open_api_direct=0.35, program=0.2, direct=0.1), 90_000,
            "+05:30", "meta", 0.3, False, list_use=0.5, settings={
                "suppress_hard_bounces": False, "time_zone": "Asia/Kolkata",
                "fail_reasons": {"whatsapp:131049": "held back by WhatsApp"}}),
    Account("pharma.one", 0.13, 0.10, weighted(RU=5, KZ=3, DE=1, FR=1),
            weighted(direct=0.3, program=0.4, campaign=0.3), 25_000, "+03:00", "", 0.05, True,
            settings={
                "strikes_reset_on_delivery": True, "retry_every_s": 1800,
                "retry_for_s": 24 * HOUR_S, "time_zone": "Europe/Moscow",
                "unsubscribe_binds": "all"}),
    Account("edu_hub", 0.10, 0.60, weighted(NG=4, KE=3, ZA=2, BR=3, AR=0.7),
            weighted(campaign=0.4, open_api_direct=0.3, verification=0.2, direct=0.1), 20_000,
            "-03:00", "schema_version", 0.2, False, True, settings={
                "retry_soft_bounces": False, "suppression_days": 2, "recipient_days": 365,
                "fail_reasons": {"027": "phone is off", "30003": "out of reach"},
                "codes": {"30008": {"scope": "network", "reason": "network trouble"}}}),
    Account("tiny-shop", 0.05, 0.20, weighted(ES=3, IT=2, FR=2),
            weighted(direct=0.7, campaign=0.3), 4_000, "+00:00", "", 0.0, True, list_use=0.0),
)  # fmt: skip
ZONES = {"+05:30": 330, "+03:00": 180, "-03:00": -180, "+00:00": 0, "-07:00": -420}  # minutes

SMS_PROVIDERS = (
    Provider(
        "twilio",
        ("sent",),
        3.0,
        0.6,
        "Z",
        False,
        False,
        "twilio",
        price=("-0.0075", "USD"),
        early_id=True,
    ),
    Provider(
        "infobip", (), 4.0, 1.0, "+00:00", False, True, "map", price=(0.01, "EUR"), by_part=True
    ),
    Provider("sinch", ("queued", "sent"), 3.5, 0.5, "Z", False, True, "map", networks=True),
    Provider("smpp-east", ("sent",), 6.0, 1.5, "+03:00", True, True, "map", False, by_part=True),
    Provider(
        "vonage",
        ("submitted",),
        4.5,
        0.8,
        "ms",
        False,
        False,
        "vonage",
        price=("0.0333", "EUR"),
        networks=True,
    ),
)
WHATSAPP_PROVIDERS = (
    Provider("whatsapp", ("sent",), 1.5, 0.4, "ms", True, True, "whatsapp", early_id=True),
    Provider("360dialog", ("sent",), 2.0, 0.9, "Z", True, False, "whatsapp"),
)
#: Words of a provider for our statuses; it uses any of them. Without an entry: our word.
WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "twilio": {"undelivered": ("undelivered", "failed"), "sent": ("sent", "sending")},
    "infobip": {"delivered": ("delivered", "DELIVERED_TO_HANDSET"),
                "undelivered": ("undelivered", "UNDELIVERABLE_NOT_DELIVERED"),
                "rejected": ("rejected", "REJECTED_NETWORK"), "unknown": ("UNKNOWN",)},
    "sinch": {"queued": ("queued", "accepted"), "sent": ("sent", "Dispatched"),
              "rejected": ("rejected", "Aborted"), "deleted": ("deleted", "Cancelled")},
    "smpp-east": {"sent": ("ENROUTE", "ACCEPTD"), "delivered": ("DELIVRD",),
                  "undelivered": ("UNDELIV",), "rejected": ("REJECTD",), "deleted": ("DELETED",),
                  "unknown": ("UNKNOWN", "unconfirmed")},
    "vonage": {"undelivered": ("undelivered", "failed"), "delivered": ("Delivered",)},
    "360dialog": {"read": ("read", "seen"), "undelivered": ("undelivered", "failed")},
}  # fmt: skip
NETWORKS = {"US": "310260", "CA": "302720", "GB": "23410", "DE": "26201", "IN": "40445",
            "BR": "72411", "NG": "62130", "RU": "25001", "FI": "24405"}  # fmt: skip


class Failure(NamedTuple):
    """A failure in the terms of a receipt."""

    code: str
    reason: str
    scope: str  # "": not given by the provider


SOFT = {
    "twilio": (Failure("30003", "Unreachable destination handset", "recipient"),
               Failure("30008", "Unknown error", ""), Failure("30017", "Carrier congestion",
                                                              "network")),
    "map": (Failure("027", "Absent subscriber", "recipient"),
            Failure("040", "Handset memory full", "recipient"),
            Failure("034", "System failure", "network"), Failure("255", "Unknown error", "")),
    "vonage": (Failure("2", "Absent subscriber, temporary", ""),
               Failure("7", "Handset busy", "recipient"), Failure("8", "Network error", "network")),
    "whatsapp": (Failure("131049", "Ecosystem limit", "policy"),
                 Failure("130429", "Throughput reached", "policy"), Failure("131000", "", "")),
}  # fmt: skip
HARD = {
    "twilio": (Failure("30005", "Unknown destination handset", "recipient"),
               Failure("30006", "Landline or unreachable carrier", "")),
    "map": (Failure("001", "Unknown subscriber", "recipient"),
            Failure("009", "Illegal subscriber", ""), Failure("012", "Illegal equipment", "")),
    "vonage": (Failure("3", "Absent subscriber, permanent", "recipient"),
               Failure("1170", "Invalid or missing recipient", "")),
    "whatsapp": (Failure("131026", "Message undeliverable", "recipient"),),
}  # fmt: skip
# Permanent, and not the recipient's fault: no strike.
HARD_CONTENT = {
    "twilio": Failure("30007", "Message filtered", "content"),
    "map": Failure("SPAM", "Refused as spam", "content"),
    "vonage": Failure("10", "Illegal message", "content"),
    "whatsapp": Failure("132000", "Template parameters do not fit", "content"),
}
REJECTED = {
    "twilio": (Failure("30007", "Message filtered", "content"),
               Failure("30034", "Unregistered number", "sender")),
    "map": (Failure("", "Rejected by network", ""), Failure("NOCREDIT", "No credits", "account")),
    "vonage": (Failure("6", "Anti-spam", "content"), Failure("11", "Unroutable", "route"),
               Failure("14", "Blocked by the subscriber", "recipient")),
    "whatsapp": (Failure("132001", "Template does not exist", "content"),
                 Failure("131047", "Outside the 24 hour window", "time")),
}  # fmt: skip

# By provider. The recipient has unsubscribed with it, or blocks the sender.
OPTED_OUT = {
    "twilio": Failure("21610", "Attempt to send to unsubscribed recipient", ""),
    "infobip": Failure("603", "Content blocked by user opt-out (STOP)", ""),
    "vonage": Failure("9", "Illegal number, the recipient sent STOP", ""),
    "whatsapp": Failure("131050", "User has stopped marketing messages", ""),
    "360dialog": Failure("131050", "User has stopped marketing messages", ""),
}
BLOCKING = {
    "twilio": Failure("30004", "Message blocked", ""),
    "infobip": Failure("573", "Short code blocked by end user", ""),
    "vonage": Failure("4", "Call barred by user", "recipient"),
}

# Outcome of one attempt to a valid number (dead numbers fail hard instead).
OUTCOMES = weighted(delivered=0.925, soft=0.046, hard=0.007, rejected=0.013, rejected_soft=0.002,
                    deleted=0.003, never=0.012, opted_out=0.002, blocking=0.001)  # fmt: skip
# A retry reaches the same handset, which mostly stays switched off.
RETRY_OUTCOMES = weighted(delivered=0.60, soft=0.33, hard=0.03, rejected=0.02, never=0.02)
DEAD_SHARE = 0.013
KNOWN_BOUNCING_SHARE = 0.012  # of messages to a recipient that bounced hard lately
CARELESS_SHARE = 0.03  # of messages to a suppressed recipient, by senders that ignore the list
DEAD_DELIVERED_SHARE = 0.12  # of messages to a dead number that are delivered
SWITCHED_OFF_SHARE = 0.0003  # of messages to a handset that is off for days
SILENT = {"NG": 0.03, "KE": 0.02, "KZ": 0.015}  # share of messages without any receipt
CREDITS = {"US": 1, "CA": 1, "GB": 4, "DE": 7.5, "IN": 0.5, "NG": 9.25, "BR": 2.4, "RU": 5.05}

LONG_SHARE = 0.05  # of SMS other than codes: several parts
AGENTS = ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)", "Mozilla/5.0 (Android 16)")
PREVIEWS = ("WhatsApp/2.26", "Barracuda Sentinel (EE)")  # programs that open links

CATEGORIES = {"verification": "authentication", "campaign": "marketing", "program": "marketing"}
REPLIES = ("Yes please", "Danke!", "где мой заказ?", "👍")
TEXTS = {
    "campaign": ("Big sale this weekend: 30% off everything, only until Sunday. sho.rt/x7",
                 "Новая коллекция уже в магазинах! Скидка 20% по коду HELLO",
                 "¡Solo hoy! Envío gratis en tu próxima compra 🎉",
                 "Your points expire soon. Tap to redeem: sho.rt/p2"),
    "notification": ("Your order is on its way.", "Your appointment is tomorrow at 10:30.",
                     "Deine Sendung wurde zugestellt.", "आपका बिल तैयार है।"),
    "verification": ("is your code. Do not share it.", "ist Ihr Sicherheitscode",
                     "is your one-time password, valid for 10 minutes."),
}  # fmt: skip
FIRST_NAMES = ("anna", "olu", "priya", "ivan", "maria", "john", "aino", "fatma")
