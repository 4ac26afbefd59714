"""The life of one message: its sends, receipts and engagements with their delays and accidents."""

from __future__ import annotations

from itertools import count
from math import exp, log
from random import Random
from typing import NamedTuple

from deploy.simulator.catalogue import (
    CREDITS,
    DEFAULT_VALIDITY_S,
    FIRST_NAMES,
    SMS_PROVIDERS,
    TEXTS,
    VALIDITIES_S,
    WHATSAPP_PROVIDERS,
    Account,
    Provider,
)
from deploy.simulator.event import ENGAGEMENTS, RECEIPTS, SENDS, Event
from deploy.simulator.outcomes import Report, attempt_reports
from deploy.simulator.phones import phone_number
from deploy.simulator.shapes import Campaign, Due
from deploy.simulator.wire import Fields, key_of, stamp, to_json

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
# No deadline may fall between ten minutes before `as_of` and two hours after it (and a little
# more, for conflicting sends): what has expired must not depend on when somebody looks.
QUIET_BEFORE_MS, QUIET_AFTER_MS = 13 * MINUTE_MS, 2 * HOUR_MS + 3 * MINUTE_MS


class Message(NamedTuple):
    """What stays the same over all attempts of one outbound message."""

    account: Account
    message_id: str
    key: bytes
    person: int
    country: str
    recipient: str
    whatsapp: bool
    source: str
    campaign: Campaign | None
    sent_ms: int
    validity_s: int


class Journeys:
    """Makes the events of one message after another from one random generator.

    The events of a message are not sorted, and those that would arrive after `as_of_ms` are
    left out: they are still on their way.
    """

    def __init__(self, rng: Random, seed: int, as_of_ms: int) -> None:
        self.rng = rng
        self.as_of_ms = as_of_ms
        self.prefix = f"{seed:x}-"
        self.sequence = count()
        self.numbers = count()

    def of(self, due: Due, account: Account) -> list[Event]:
        """All events of one message that `account` sends (or, rarely, receives)."""
        rng = self.rng
        if due.campaign is None and rng.random() < 0.06:
            return self._arrived([self._inbound(due, account)], due)
        message = self._message(due, account)
        events: list[Event] = []
        orphan = rng.random() < 0.004
        started, attempt = message.sent_ms, 1
        while True:
            provider = rng.choice(WHATSAPP_PROVIDERS if message.whatsapp else SMS_PROVIDERS)
            fields = self._send_fields(message, provider, attempt, started)
            reports = attempt_reports(rng, message, provider, attempt, started)
            if not orphan and not (attempt == 1 and rng.random() < 0.0005):
                events += self._sends(message, fields, started)
            events += self._receipts(message, provider, attempt, reports)
            again = self._retry_at(reports, attempt)
            if orphan or not again or again > message.sent_ms + message.validity_s * 1000:
                break
            started, attempt = again, attempt + 1
        if message.campaign and reports and reports[-1].rank >= 4:
            events += self._engagements(message, reports[-1].occurred_ms)
        return self._arrived(events, due)

    def _arrived(self, events: list[Event], due: Due) -> list[Event]:
        """Those that arrive in time; none before its message exists, whatever clocks say."""
        return [
            event if event.arrival_ms >= due.sent_ms else event._replace(arrival_ms=due.sent_ms)
            for event in events
            if event.arrival_ms <= self.as_of_ms
        ]

    def _event(self, at: float, kind: str, fields: Fields, note: str = "") -> Event:
        return Event(int(at), next(self.sequence), kind, key_of(fields), to_json(fields), note)

    def _message(self, due: Due, account: Account) -> Message:
        rng = self.rng
        sources = account.sources
        country = rng.choices(account.countries.names, cum_weights=account.countries.cumulative)[0]
        person = int(rng.random() ** 2 * account.people)  # some are written to often
        source = rng.choices(sources.names, cum_weights=sources.cumulative)[0]
        if due.campaign:
            source = "campaign"
        elif source == "campaign":
            source = "direct"
        sent_ms = due.sent_ms - due.sent_ms % 1000 if account.seconds_only else due.sent_ms
        name = f"{self.prefix}{next(self.numbers):07x}"
        validity_s = self._validity_s(sent_ms, source)
        key = f"{account.name}/{name}".encode()
        return Message(
            account, name, key, person, country, phone_number(country, person),
            rng.random() < account.whatsapp, source, due.campaign, sent_ms, validity_s,
        )  # fmt: skip

    def _validity_s(self, sent_ms: int, source: str) -> int:
        """Usual periods; longer when the deadline would fall into the quiet time."""
        rng = self.rng
        if source.endswith("verification"):
            validity_s = rng.choice((60, 300, 600, 600, 3600))
        elif rng.random() < 0.7:
            validity_s = DEFAULT_VALIDITY_S
        else:
            validity_s = rng.choice(VALIDITIES_S)
        until_as_of = sent_ms + validity_s * 1000 - self.as_of_ms
        if -QUIET_BEFORE_MS <= until_as_of <= QUIET_AFTER_MS:
            validity_s += 4 * HOUR_MS // 1000
        return validity_s

    def _send_fields(
        self, message: Message, provider: Provider, attempt: int, sent_ms: int
    ) -> Fields:
        rng, account = self.rng, message.account
        text, message_type = _words(rng, message)
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
        if message.validity_s != DEFAULT_VALIDITY_S:
            fields["validity_s"] = message.validity_s
        fields["credits"] = _credits(message, segments)
        _add_optional(rng, fields, message)
        return fields

    def _sends(self, message: Message, fields: Fields, sent_ms: int) -> list[Event]:
        """The send itself; sometimes late, twice, or in conflict with another one."""
        rng = self.rng
        luck = rng.random()
        delay = rng.randint(20, 400)
        if luck < 0.01:
            delay = int(rng.uniform(5_000, 120_000))
        elif luck < 0.011:
            delay = int(rng.uniform(MINUTE_MS, 6 * HOUR_MS))
        # A message of the last moment still arrives: the number of events is a promise.
        arrival = min(sent_ms + delay, max(self.as_of_ms, sent_ms))
        events = [self._event(arrival, SENDS, fields, "late_send" if luck < 0.011 else "")]
        if luck > 0.995:
            again = arrival + rng.randint(100, 600_000)
            events.append(events[0]._replace(
                arrival_ms=again, seq=next(self.sequence), note="duplicate"))  # fmt: skip
        elif luck > 0.994:
            events.append(self._conflict(message, fields, sent_ms, arrival))
        return events

    def _conflict(self, message: Message, fields: Fields, sent_ms: int, arrival: int) -> Event:
        """The same attempt once more, told differently: the earlier `sent_at` must win."""
        account = message.account
        other_ms = sent_ms + self.rng.choice((-90, -45, -2, 3, 30, 80)) * 1000
        changed: Fields = {
            **fields,
            "sent_at": stamp(other_ms, account.zone, account.seconds_only),
            "sender_id": "other",
            "segments": 3,
            "credits": 0.33,
        }
        return self._event(arrival + self.rng.randint(50, 5000), SENDS, changed, "conflict")

    def _receipts(
        self, message: Message, provider: Provider, attempt: int, reports: list[Report]
    ) -> list[Event]:
        """A receipt for each report; sometimes twice, held back or by a wrong clock."""
        rng = self.rng
        disorder = 0.025 if message.whatsapp else 0.003
        events: list[Event] = []
        for report in reports:
            luck = rng.random()
            arrival = report.occurred_ms + 50 + rng.expovariate(1 / provider.callback_s) * 1000
            note = report.note
            if report.rank < 2 and luck < disorder:
                arrival, note = arrival + rng.uniform(5_000, 300_000), "held_back"
            fields = self._receipt_fields(message, provider, attempt, report)
            events.append(self._event(arrival, RECEIPTS, fields, note))
            if luck > 0.99:
                # Told again, in other words: one fact all the same.
                fields["occurred_at"] = stamp(report.occurred_ms, "-07:00")
                fields["received_at"] = stamp(int(arrival), "Z")
                later = arrival + exp(rng.uniform(log(200), log(HOUR_MS)))
                events.append(self._event(later, RECEIPTS, fields, "duplicate"))
        return events

    def _receipt_fields(
        self, message: Message, provider: Provider, attempt: int, report: Report
    ) -> Fields:
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
        if provider.codes == "vonage" and not report.details:
            fields |= {"error_code": None, "reason": None}
        if provider.name == "infobip":
            fields["recipient"] = message.recipient
            fields["mcc_mnc"] = {"mcc": 310, "mnc": [26, None]}
        return fields

    def _retry_at(self, reports: list[Report], attempt: int) -> int:
        """When the sender tries again (epoch ms); 0 when it does not."""
        failed = next((r for r in reports if r.rank == 2), None)
        if failed is None or attempt == 3 or self.rng.random() > 0.45:
            return 0
        at = failed.occurred_ms + int(self.rng.uniform(5, 45) * MINUTE_MS)
        return at - at % 1000 if at < self.as_of_ms else 0

    def _engagements(self, message: Message, seen_ms: int) -> list[Event]:
        rng = self.rng
        if rng.random() > 0.09:
            return []
        at = seen_ms + int(rng.lognormvariate(log(400), 1.6) * 1000)
        kind = "unsubscribe" if rng.random() < 0.07 else "click"
        fields: Fields = {
            "account": message.account.name,
            "event_id": f"e{message.message_id}",
            "type": kind,
            "occurred_at": stamp(at, "Z"),
            "message_id": message.message_id,
            "campaign_id": message.campaign.campaign_id if message.campaign else "",
        }
        if kind == "click":
            fields |= {"link_id": f"l{rng.randint(1, 4)}", "url": "https://sho.rt/x7"}
        events = [self._event(at + rng.randint(20, 2000), ENGAGEMENTS, fields)]
        luck = rng.random()
        if luck < 0.15:  # a second click on another link
            more = at + rng.randint(1000, 600_000)
            second: Fields = {**fields, "event_id": f"f{message.message_id}", "type": "click",
                              "occurred_at": stamp(more, "ms")}  # fmt: skip
            events.append(self._event(more + rng.randint(20, 2000), ENGAGEMENTS, second))
        elif luck < 0.2:
            later = events[0].arrival_ms + rng.randint(100, 60_000)
            events.append(events[0]._replace(
                arrival_ms=later, seq=next(self.sequence), note="duplicate"))  # fmt: skip
        elif luck < 0.25:  # a STOP reply: the provider knows the number only
            del fields["message_id"]
            stop: Fields = {**fields, "event_id": f"s{message.message_id}", "type": "unsubscribe",
                            "recipient": message.recipient}  # fmt: skip
            events.append(self._event(at + 9000, ENGAGEMENTS, stop, "by_recipient"))
        return events

    def _inbound(self, due: Due, account: Account) -> Event:
        """A message a person sent to the account: no receipts, no timers."""
        rng = self.rng
        country = rng.choices(account.countries.names, cum_weights=account.countries.cumulative)[0]
        sent_ms = due.sent_ms - due.sent_ms % 1000 if account.seconds_only else due.sent_ms
        fields: Fields = {
            "account": account.name,
            "message_id": f"{self.prefix}{next(self.numbers):07x}",
            "channel": "whatsapp" if rng.random() < account.whatsapp else "sms",
            "direction": "inbound",
            "recipient": phone_number(country, 0),
            "sender_id": phone_number(country, rng.randrange(account.people)),
            "sent_at": stamp(sent_ms, account.zone, account.seconds_only),
            "message_type": "reply",
            "text": rng.choice(("STOP", "Yes please", "Danke!", "где мой заказ?", "👍")),
            "provider": rng.choice(SMS_PROVIDERS).name,
        }
        arrival = min(due.sent_ms + rng.randint(50, 900), self.as_of_ms)
        return self._event(arrival, SENDS, fields, "inbound")


def _credits(message: Message, segments: int) -> int | float | str:
    """The price as producers write decimals: a number, or (exact) text."""
    hundredths = CREDITS.get(message.country, 3) * segments
    if hundredths % 100 == 0:
        return int(hundredths) // 100
    price = round(hundredths / 100, 6)
    return str(price) if message.account.nulls else price


def _words(rng: Random, message: Message) -> tuple[str, str]:
    """The text and its message_type."""
    if message.source.endswith("verification"):
        return f"{rng.randrange(10**6):06d} {rng.choice(TEXTS['verification'])}", "verification"
    if message.campaign:
        return rng.choice(TEXTS["campaign"]), "campaign"
    return rng.choice(TEXTS["notification"]), "notification"


def _add_optional(rng: Random, fields: Fields, message: Message) -> None:
    """What only some producers say."""
    account = message.account
    if message.campaign:
        fields["campaign_id"] = message.campaign.campaign_id
        fields["sent_by"] = f"{FIRST_NAMES[message.person % 3]}@{account.name}.example"
    elif message.source == "program":
        fields["campaign_id"] = f"program-{message.person % 5}"
    if rng.random() < account.says_country:
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
