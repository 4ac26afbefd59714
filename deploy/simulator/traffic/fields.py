"""Fields of sends and receipts, as the software of each account and provider writes them."""

from __future__ import annotations

from random import Random

from deploy.simulator.traffic.encoding import Fields, stamp
from deploy.simulator.traffic.message import Message
from deploy.simulator.traffic.outcomes import StatusReport
from deploy.simulator.traffic.phones import other_spelling, phone_number
from deploy.simulator.traffic.profiles import (
    CATEGORIES,
    CREDITS,
    DEFAULT_VALIDITY_S,
    FIRST_NAMES,
    LONG_SHARE,
    NETWORKS,
    REPLIES,
    SMS_PROVIDERS,
    TEXTS,
    WHATSAPP_PROVIDERS,
    WORDS,
    Account,
    Provider,
)


def default_validity_s(account: Account) -> int:
    """The validity of messages whose send has none."""
    validity_s = account.settings.get("validity_s", DEFAULT_VALIDITY_S)
    assert isinstance(validity_s, int)
    return validity_s


def send_fields(
    rng: Random, message: Message, provider: Provider, attempt: int, sent_ms: int
) -> Fields:
    """The fields of a send."""
    account = message.account
    text, message_type = _text_and_type(rng, message)
    segments = 1 if message.whatsapp else 1 + len(text) // (70 if not text.isascii() else 160)
    fields: Fields = {
        "account": account.name,
        "message_id": message.message_id,
        "channel": "whatsapp" if message.whatsapp else "sms",
        "recipient": message.recipient,
        "sent_at": stamp(sent_ms, account.zone, account.seconds_only),
        "source": message.source,
        "sender_id": account.name[:11],
        "message_type": message_type,
        "text": text,
        "segments": segments,
        "provider": provider.name,
        "platform": "api" if message.source.startswith("open_api") else "web",
    }
    if attempt > 1:
        fields["attempt"] = attempt
        fields["first_sent_at"] = stamp(message.sent_ms, account.zone, account.seconds_only)
    if message.validity_s != default_validity_s(account):
        fields["validity_s"] = message.validity_s
    if provider.early_id:
        fields["provider_message_id"] = id_of_provider(message, provider, attempt)
    fields["credits"] = _credits(message, segments)
    _add_optional(rng, fields, message)
    return fields


def id_of_provider(message: Message, provider: Provider, attempt: int) -> str:
    """The provider's own id of an attempt."""
    return f"{provider.name[:2]}{message.message_id}{attempt}"


def receipt_fields(
    rng: Random, message: Message, provider: Provider, attempt: int, report: StatusReport
) -> Fields:
    """The fields of a receipt. Most name their attempt only if it is not the first."""
    words = WORDS.get(provider.name, {}).get(report.status, (report.status,))
    fields: Fields = {
        "account": message.account.name,
        "message_id": message.message_id,
        "status": rng.choice(words),
        "occurred_at": stamp(report.occurred_ms, provider.zone, provider.seconds_only),
        "provider": provider.name,
        "provider_message_id": id_of_provider(message, provider, attempt),
    }
    if rng.random() < (0.25 if attempt == 1 else 0.7):
        fields["attempt"] = attempt
    if rng.random() < 0.01:
        del fields["provider"]
    fields.update(report.details)
    if not provider.gives_reason:
        fields.pop("reason", None)
    if provider.codes == "vonage" and not report.details:
        fields |= {"error_code": None, "reason": None}
    if provider.name == "infobip":
        fields["recipient"] = message.recipient
        fields["mcc_mnc"] = {"mcc": 310, "mnc": [26, None]}
    elif provider.name == "whatsapp" and rng.random() < 0.3:
        fields["recipient"] = other_spelling(message.recipient)
    if report.rank >= 2:
        _add_billing(rng, fields, message, provider)
    return fields


def _add_billing(rng: Random, fields: Fields, message: Message, provider: Provider) -> None:
    """The network and the price, of a final report."""
    if provider.networks and message.country in NETWORKS:
        fields["mccmnc"] = NETWORKS[message.country]
    if provider.price and rng.random() < 0.8:
        fields["price"], fields["currency"] = provider.price


def inbound_fields(rng: Random, message_id: str, account: Account, sent_ms: int) -> Fields:
    """The fields of an inbound message: no receipts, no timers."""
    whatsapp = rng.random() < account.whatsapp
    return {
        "account": account.name,
        "message_id": message_id,
        "channel": "whatsapp" if whatsapp else "sms",
        "direction": "inbound",
        "recipient": _other_side(rng, account, whatsapp),
        "sender_id": account.name[:11],
        "sent_at": stamp(sent_ms, account.zone, account.seconds_only),
        "message_type": "reply",
        "text": "STOP" if rng.random() < 0.15 else rng.choice(REPLIES),
        "provider": rng.choice(WHATSAPP_PROVIDERS if whatsapp else SMS_PROVIDERS).name,
    }


def _other_side(rng: Random, account: Account, whatsapp: bool) -> str:
    """Who wrote: a person, sometimes a short code or a name."""
    if not whatsapp and rng.random() < 0.08:
        return rng.choice(("68849", "SUPPORT", "My Bank 24"))
    country = rng.choices(account.countries.names, cum_weights=account.countries.cumulative)[0]
    number = phone_number(country, rng.randrange(account.contacts))
    return other_spelling(number) if whatsapp and rng.random() < 0.5 else number


def _credits(message: Message, segments: int) -> int | float | str:
    """The price as producers write decimals: a number, or exact text."""
    hundredths = CREDITS.get(message.country, 3) * segments
    if hundredths % 100 == 0:
        return int(hundredths) // 100
    price = round(hundredths / 100, 6)
    return str(price) if message.account.nulls else price


def _text_and_type(rng: Random, message: Message) -> tuple[str, str]:
    """The text and its message_type."""
    if message.source.endswith("verification"):
        return f"{rng.randrange(10**6):06d} {rng.choice(TEXTS['verification'])}", "verification"
    kind = "campaign" if message.campaign else "notification"
    text = rng.choice(TEXTS[kind])
    if not message.whatsapp and rng.random() < LONG_SHARE:
        text = " ".join([text] * rng.randint(4, 8))
    return text, kind


def _add_optional(rng: Random, fields: Fields, message: Message) -> None:
    """Adds fields that only some producers write."""
    account = message.account
    if message.campaign:
        fields["campaign_id"] = message.campaign.campaign_id
        fields["sent_by"] = f"{FIRST_NAMES[message.person % 3]}@{account.name}.example"
    elif message.source == "program":
        fields["campaign_id"] = f"program-{message.person % 5}"
    if rng.random() < account.country_share:
        fields["country"] = message.country
    if message.person % 4 == 0:
        fields["external_id"] = f"crm-{message.person:06d}"
        name = FIRST_NAMES[message.person % len(FIRST_NAMES)]
        fields["email"] = f"{name}{message.person}@mail.example"
    elif account.nulls:
        fields |= {"external_id": None, "email": None}
    if message.whatsapp:
        kind = "verification" if message.source.endswith("verification") else message.source
        fields["template"] = f"{kind}_v{message.person % 3 + 1}"
        fields["category"] = CATEGORIES.get(kind, "utility")
    if account.reference:
        fields["reference"] = f"order-{rng.randrange(10**6)}"
    if account.extra == "meta":
        fields["meta"] = {"region": "ap-south-1", "retry": False, "tags": ["a", None, 1.5]}
    elif account.extra:
        fields[account.extra] = f"{rng.getrandbits(48):012x}"
