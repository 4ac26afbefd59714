"""Fields of sends and receipts, as the software of each account and provider writes them."""

from __future__ import annotations

from random import Random

from deploy.simulator.traffic.encoding import Fields, stamp
from deploy.simulator.traffic.message import Message
from deploy.simulator.traffic.outcomes import StatusReport
from deploy.simulator.traffic.phones import phone_number
from deploy.simulator.traffic.profiles import (
    CREDITS,
    DEFAULT_VALIDITY_S,
    FIRST_NAMES,
    SMS_PROVIDERS,
    TEXTS,
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
    fields["credits"] = _credits(message, segments)
    _add_optional(rng, fields, message)
    return fields


def receipt_fields(
    message: Message, provider: Provider, attempt: int, report: StatusReport
) -> Fields:
    """The fields of a receipt."""
    fields: Fields = {
        "account": message.account.name,
        "message_id": message.message_id,
        "status": report.status,
        "occurred_at": stamp(report.occurred_ms, provider.zone, provider.seconds_only),
        "provider": provider.name,
        "provider_message_id": f"{provider.name[:2]}{message.message_id}{attempt}",
    }
    if attempt > 1:
        fields["attempt"] = attempt
    fields.update(report.details)
    if not provider.gives_reason:
        fields.pop("reason", None)
    if provider.codes == "vonage" and not report.details:
        fields |= {"error_code": None, "reason": None}
    if provider.name == "infobip":
        fields["recipient"] = message.recipient
        fields["mcc_mnc"] = {"mcc": 310, "mnc": [26, None]}
    return fields


def inbound_fields(rng: Random, message_id: str, account: Account, sent_ms: int) -> Fields:
    """The fields of an inbound message: no receipts, no timers."""
    country = rng.choices(account.countries.names, cum_weights=account.countries.cumulative)[0]
    return {
        "account": account.name,
        "message_id": message_id,
        "channel": "whatsapp" if rng.random() < account.whatsapp else "sms",
        "direction": "inbound",
        "recipient": phone_number(country, 0),
        "sender_id": phone_number(country, rng.randrange(account.contacts)),
        "sent_at": stamp(sent_ms, account.zone, account.seconds_only),
        "message_type": "reply",
        "text": rng.choice(("STOP", "Yes please", "Danke!", "где мой заказ?", "👍")),
        "provider": rng.choice(SMS_PROVIDERS).name,
    }


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
    if message.campaign:
        return rng.choice(TEXTS["campaign"]), "campaign"
    return rng.choice(TEXTS["notification"]), "notification"


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
    if account.extra == "meta":
        fields["meta"] = {"region": "ap-south-1", "retry": False, "tags": ["a", None, 1.5]}
    elif account.extra:
        fields[account.extra] = f"{rng.getrandbits(48):012x}"
