"""Events of one message: its sends, receipts and engagements, with delays and faults."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from itertools import count
from math import exp, log
from random import Random
from typing import Any

from deploy.simulator.event import ENGAGEMENTS, RECEIPTS, SENDS, Event
from deploy.simulator.traffic.encoding import Fields, key_of, stamp, to_json
from deploy.simulator.traffic.fields import (
    default_validity_s,
    inbound_fields,
    receipt_fields,
    send_fields,
)
from deploy.simulator.traffic.flaws import Flaws
from deploy.simulator.traffic.load_profiles import PlannedMessage
from deploy.simulator.traffic.message import Message
from deploy.simulator.traffic.outcomes import StatusReport, attempt_reports
from deploy.simulator.traffic.phones import other_spelling, phone_number, user_id
from deploy.simulator.traffic.profiles import (
    AGENTS,
    HOUR_S,
    PREVIEWS,
    SMS_PROVIDERS,
    SWITCHED_OFF_SHARE,
    VALIDITIES_S,
    WHATSAPP_PROVIDERS,
    Account,
    Provider,
)
from deploy.simulator.traffic.recipients import Contact, Person, Recipients
from deploy.simulator.traffic.sender_retries import due_ms, next_attempt_ms

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
BOM_SHARE = 0.0005  # of the events, begin with a byte order mark
# No deadline and no retry is due from ten minutes before `as_of` to two hours after it, and a
# little more for conflicting sends: the expected tables must not depend on when they are compared.
QUIET_BEFORE_MS, QUIET_AFTER_MS = 13 * MINUTE_MS, 2 * HOUR_MS + 3 * MINUTE_MS


class MessageFlow:
    """Makes the events of one message after another from one random generator.

    The events of a message are not sorted; those that would arrive after `as_of_ms` are left out.
    calm: no retry is due around `as_of_ms` (not possible for traffic of one hour).
    """

    def __init__(self, rng: Random, seed: int, as_of_ms: int, calm: bool = True) -> None:
        self.rng = rng
        self.as_of_ms = as_of_ms
        self.calm = calm
        self.recipients = Recipients(rng, self.event)
        self.flaws = Flaws(rng)
        self.prefix = f"{seed:x}-"
        self.sequence = count()
        self.message_numbers = count()

    def events_of(self, due: PlannedMessage, account: Account) -> list[Event]:
        """All events of one message that `account` sends (or, seldom, receives)."""
        rng = self.rng
        if due.campaign is None and rng.random() < 0.06:
            return self._in_time(self._inbound(due, account), due)
        message = self._message(due, account)
        events, reports = self._attempts(message)
        if reports and reports[-1].rank >= 4:
            events += self._reached(message, reports)
        events += self._reactions(message, events)
        return self._in_time(events, due)

    def _attempts(self, message: Message) -> tuple[list[Event], list[StatusReport]]:
        """Sends and receipts of all attempts, and the reports of the last one."""
        rng = self.rng
        events: list[Event] = []
        orphan = rng.random() < 0.004
        started, attempt = message.sent_ms, 1
        while True:
            provider = rng.choice(WHATSAPP_PROVIDERS if message.whatsapp else SMS_PROVIDERS)
            reports = self._reports(message, provider, attempt, started)
            fields = send_fields(rng, message, provider, attempt, started)
            if not orphan and not (attempt == 1 and rng.random() < 0.0005):
                events += self._sends(message, fields, started)
            parts = fields["segments"] if provider.by_part and rng.random() < 0.7 else 1
            assert isinstance(parts, int)
            events += self._receipts(message, provider, attempt, self._by_part(reports, parts))
            next_ms = 0 if orphan else next_attempt_ms(rng, message, reports, attempt)
            expires_ms = message.sent_ms + message.validity_s * 1000
            if not next_ms or next_ms > min(expires_ms, self.as_of_ms):
                return events, reports
            started, attempt = next_ms, attempt + 1

    def _reports(
        self, message: Message, provider: Provider, attempt: int, started: int
    ) -> list[StatusReport]:
        """Reports of the provider; none ends softly if its retry would be due around `as_of`."""
        reports = attempt_reports(self.rng, message, provider, attempt, started)
        if self.calm and any(report.rank == 2 for report in reports):
            return [
                StatusReport("delivered", report.occurred_ms, 4, {})
                if report.rank == 2 and self._is_due_around_now(message, report)
                else report
                for report in reports
            ]
        return reports

    def _is_due_around_now(self, message: Message, report: StatusReport) -> bool:
        due_at = due_ms(message, report.occurred_ms)
        return -QUIET_BEFORE_MS <= due_at - self.as_of_ms <= QUIET_AFTER_MS

    def _reactions(self, message: Message, events: list[Event]) -> list[Event]:
        """Requests and decisions of people that follow from the events of a message."""
        recipients, who = self.recipients, Person(message.country, message.person)
        contact = Contact(message.account, who, message.recipient)
        requests = list(recipients.on_send(contact, message.sent_ms))
        bounces = [e for e in events if e.note == "hard"]
        if bounces:
            requests += recipients.on_bounce(contact, bounces[0].arrival_ms)
        for event in events:
            if event.note in ("unsubscribe", "by_recipient", "opted_out"):
                requests += recipients.on_unsubscribe(contact, event.arrival_ms)
        return requests

    def _in_time(self, events: list[Event], due: PlannedMessage) -> list[Event]:
        """Events that arrive until `as_of_ms`; none before its message was sent."""
        return [
            event if event.arrival_ms >= due.sent_ms else event._replace(arrival_ms=due.sent_ms)
            for event in events
            if event.arrival_ms <= self.as_of_ms
        ]

    def event(self, at: float, kind: str, fields: Fields, note: str = "") -> Event:
        """An event with these fields that arrives `at` (epoch ms)."""
        return Event(int(at), next(self.sequence), kind, key_of(fields), to_json(fields), note)

    def _message(self, due: PlannedMessage, account: Account) -> Message:
        rng, sources = self.rng, account.sources
        country, person = self._person(account, due.sent_ms)
        source = rng.choices(sources.names, cum_weights=sources.cumulative)[0]
        if due.campaign:
            source = "campaign"
        elif source == "campaign":
            source = "direct"
        sent_ms = due.sent_ms - due.sent_ms % 1000 if account.seconds_only else due.sent_ms
        name = f"{self.prefix}{next(self.message_numbers):07x}"
        switched_off = rng.random() < SWITCHED_OFF_SHARE
        validity_s = 72 * HOUR_S if switched_off else self._validity_s(account, sent_ms, source)
        key = f"{account.name}/{name}".encode()
        whatsapp = rng.random() < account.whatsapp
        recipient = phone_number(country, person)
        if whatsapp:
            recipient = user_id(country, person) or self._spelled(recipient)
        return Message(
            account, name, key, person, country, recipient, whatsapp, source, due.campaign,
            sent_ms, validity_s, switched_off,
        )  # fmt: skip

    def _spelled(self, number: str) -> str:
        """A number in one of its spellings."""
        return other_spelling(number) if self.rng.random() < 0.5 else number

    def _person(self, account: Account, sent_ms: int) -> Person:
        """Whom to write to; most senders skip recipients that they know to be suppressed."""
        rng = self.rng
        for _ in range(3):
            who = self.recipients.pick_known(account) or self._random_person(account)
            suppressed = self.recipients.is_suppressed(account, who, sent_ms)
            if not suppressed or rng.random() > account.list_use:
                break
        return who

    def _random_person(self, account: Account) -> Person:
        rng = self.rng
        country = rng.choices(account.countries.names, cum_weights=account.countries.cumulative)[0]
        return Person(country, int(rng.random() ** 2 * account.contacts))  # some come up often

    def _validity_s(self, account: Account, sent_ms: int, source: str) -> int:
        """Usual periods; longer when the deadline would be around `as_of`."""
        rng = self.rng
        if source.endswith("verification"):
            validity_s = rng.choice((60, 300, 600, 600, 3600))
        elif rng.random() < 0.7:
            validity_s = default_validity_s(account)
        else:
            validity_s = rng.choice(VALIDITIES_S)
        until_as_of = sent_ms + validity_s * 1000 - self.as_of_ms
        if -QUIET_BEFORE_MS <= until_as_of <= QUIET_AFTER_MS:
            validity_s += 4 * HOUR_MS // 1000
        return validity_s

    def _sends(self, message: Message, fields: Fields, sent_ms: int) -> list[Event]:
        """The send; sometimes late, twice, or with a conflicting copy."""
        rng = self.rng
        luck = rng.random()
        delay = rng.randint(20, 400)
        if luck < 0.01:
            delay = int(rng.uniform(5_000, 120_000))
        elif luck < 0.011:
            delay = int(rng.uniform(MINUTE_MS, 6 * HOUR_MS))
        # A message of the last moment still arrives: `generate` fills up with them.
        arrival = min(sent_ms + delay, max(self.as_of_ms, sent_ms))
        note = "late_send" if luck < 0.011 else ""
        events = [self._perhaps_flawed(arrival, SENDS, fields, note)]
        if luck > 0.995:
            repeated = arrival + rng.randint(100, 600_000)
            events.append(events[0]._replace(
                arrival_ms=repeated, seq=next(self.sequence), note="duplicate"))  # fmt: skip
        elif luck > 0.994:
            events.append(self._conflict(message, fields, sent_ms, arrival))
        return events

    def _conflict(self, message: Message, fields: Fields, sent_ms: int, arrival: int) -> Event:
        """A second, different send of the same attempt: the earlier `sent_at` must win."""
        account = message.account
        other_ms = sent_ms + self.rng.choice((-90, -45, -2, 3, 30, 80)) * 1000
        changed: Fields = {
            **fields,
            "sent_at": stamp(other_ms, account.zone, account.seconds_only),
            "sender_id": "other",
            "segments": 3,
            "credits": 0.33,
        }
        return self.event(arrival + self.rng.randint(50, 5000), SENDS, changed, "conflict")

    def _by_part(self, reports: list[StatusReport], parts: int) -> list[StatusReport]:
        """The final reports, one for each part. One part has the failure; seldom one is lost."""
        if parts < 2:
            return reports
        rng, found = self.rng, list[StatusReport]()
        failing, step_ms = rng.randint(1, parts), 1000
        kept = parts - (rng.random() < 0.03)
        for report in reports:
            if report.rank < 2:
                found.append(report)
                continue
            for part in range(1, parts + 1):
                about: Fields = {"part": part, "parts": parts}
                if part == failing:
                    found.append(report._replace(details=report.details | about))
                elif part <= kept:
                    later = report.occurred_ms + part * step_ms
                    found.append(StatusReport("delivered", later, 4, about, "part"))
        return found

    def _receipts(
        self, message: Message, provider: Provider, attempt: int, reports: list[StatusReport]
    ) -> list[Event]:
        """A receipt for each report; sometimes twice, late or with a wrong clock."""
        rng = self.rng
        disorder = 0.025 if message.whatsapp else 0.003
        events: list[Event] = []
        for report in reports:
            luck = rng.random()
            arrival = report.occurred_ms + 50 + rng.expovariate(1 / provider.callback_s) * 1000
            note = report.note
            if report.rank == 3 and (
                report.status == "undelivered" or report.details.get("bounce") == "hard"
            ):
                note = note or "hard"
            if report.rank < 2 and luck < disorder:
                arrival, note = arrival + rng.uniform(5_000, 300_000), "held_back"
            fields = receipt_fields(rng, message, provider, attempt, report)
            event = self._perhaps_flawed(arrival, RECEIPTS, fields, note)
            events.append(event)
            if luck > 0.99:
                events.append(self._written_differently(event, report.occurred_ms))
            elif luck > 0.987:
                events.append(self._unknown(event, message, provider, attempt, report))
        return events

    def _written_differently(self, event: Event, occurred_ms: int) -> Event:
        """The same fact again, with other spellings of its times."""
        rng, fields = self.rng, json.loads(event.value or b"")
        fields["occurred_at"] = stamp(occurred_ms, "-07:00")
        fields["received_at"] = stamp(event.arrival_ms, "Z")
        later = event.arrival_ms + exp(rng.uniform(log(200), log(HOUR_MS)))
        return self.event(later, RECEIPTS, fields, "duplicate")

    def _unknown(
        self, event: Event, message: Message, provider: Provider, attempt: int, seen: StatusReport
    ) -> Event:
        """A receipt of which the provider does not know what it means: it decides nothing."""
        at = seen.occurred_ms + 60_000
        report = StatusReport("unknown", at, 0, {})
        fields = receipt_fields(self.rng, message, provider, attempt, report)
        return self.event(event.arrival_ms + 60_000, RECEIPTS, fields, "unknown_status")

    def _perhaps_flawed(self, at: float, kind: str, fields: Fields, note: str) -> Event:
        fields, note = self.flaws.damage(kind, fields, note)
        event = self.event(at, kind, fields, note)
        if not note and self.rng.random() < BOM_SHARE:
            return event._replace(value=BOM_UTF8 + (event.value or b""), note="odd:bom")
        return event

    def _reached(self, message: Message, reports: list[StatusReport]) -> list[Event]:
        """What follows when a message was delivered."""
        rng, events = self.rng, list[Event]()
        delivered_ms = next(report.occurred_ms for report in reports if report.rank >= 4)
        if message.campaign:
            if rng.random() < 0.004:
                events += self._scan(message, delivered_ms)
            events += self._engagements(message, reports[-1].occurred_ms)
        elif message.source.endswith("verification") and rng.random() < 0.04:
            at = delivered_ms + rng.randint(3_000, 90_000)
            events.append(self._engagement(message, "conversion", "v", at))
        return events

    def _engagement(
        self, message: Message, kind: str, place: str, at: int, note: str = "", **more: object
    ) -> Event:
        """One engagement; place: makes its id its own among those of the message."""
        fields: Fields = {
            "account": message.account.name,
            "event_id": f"{place}{message.message_id}",
            "type": kind,
            "occurred_at": stamp(at, "Z"),
            "message_id": message.message_id,
            "campaign_id": message.campaign.campaign_id if message.campaign else None,
            **more,
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        return self._perhaps_flawed(at + self.rng.randint(20, 2000), ENGAGEMENTS, fields, note)

    def _scan(self, message: Message, delivered_ms: int) -> list[Event]:
        """Links opened by a program: with the delivery, or several at once; known or not."""
        rng, agent = self.rng, self.rng.choice(PREVIEWS)
        if rng.random() < 0.5:
            at = delivered_ms + rng.randint(200, 1500)
            return [self._engagement(message, "click", "p", at, link_id="l1", user_agent=agent)]
        at, known = delivered_ms + rng.randint(10_000, 60_000), rng.random() < 0.5 or None
        return [
            self._engagement(
                message, "click", f"s{link}/", at + 150 * link,
                link_id=f"l{link}", url="https://sho.rt/x7", user_agent=agent, automated=known,
            )
            for link in (1, 2)
        ]  # fmt: skip

    def _engagements(self, message: Message, seen_ms: int) -> list[Event]:
        rng = self.rng
        if rng.random() > 0.09:
            return []
        at = seen_ms + int(rng.lognormvariate(log(400), 1.6) * 1000)
        if rng.random() < 0.07:
            return self._unsubscribe(message, at)
        agent = rng.choice((None, *AGENTS))
        click: dict[str, Any] = {"url": "https://sho.rt/x7", "user_agent": agent}
        link = f"l{'/' if rng.random() < 0.1 else ''}{rng.randint(1, 4)}"
        events = [self._engagement(message, "click", "e", at, link_id=link, **click)]
        luck = rng.random()
        if luck < 0.15:
            more = at + rng.randint(1000, 600_000)
            other = f"l{rng.randint(1, 4)}"
            events.append(self._engagement(message, "click", "f", more, link_id=other, **click))
        elif luck < 0.2:
            later = events[0].arrival_ms + rng.randint(100, 60_000)
            events.append(events[0]._replace(
                arrival_ms=later, seq=next(self.sequence), note="duplicate"))  # fmt: skip
        elif luck < 0.25:  # a STOP reply: the provider knows only the phone number
            events.append(self._engagement(
                message, "unsubscribe", "s", at + 9000, "by_recipient",
                message_id=None, recipient=message.recipient))  # fmt: skip
        if rng.random() < 0.15:
            bought = at + rng.randint(20_000, HOUR_MS)
            events.append(self._engagement(message, "conversion", "c", bought))
        return events

    def _unsubscribe(self, message: Message, at: int) -> list[Event]:
        """An unsubscribe through a message; some name the number too, in any spelling."""
        rng, named = self.rng, None
        if rng.random() < 0.4:
            named = self._spelled(message.recipient)
        channel = ("whatsapp" if message.whatsapp else "sms") if rng.random() < 0.5 else None
        return [self._engagement(
            message, "unsubscribe", "e", at, "unsubscribe", recipient=named, channel=channel
        )]  # fmt: skip

    def _inbound(self, due: PlannedMessage, account: Account) -> list[Event]:
        """A message that a person or a program sent; a STOP is an unsubscribe too."""
        rng = self.rng
        sent_ms = due.sent_ms - due.sent_ms % 1000 if account.seconds_only else due.sent_ms
        name = f"{self.prefix}{next(self.message_numbers):07x}"
        fields = inbound_fields(rng, name, account, sent_ms)
        arrival = min(due.sent_ms + rng.randint(50, 900), self.as_of_ms)
        events = [self.event(arrival, SENDS, fields, "inbound")]
        if fields["text"] == "STOP":
            stop: Fields = {
                "account": account.name, "event_id": f"stop/{name}", "type": "unsubscribe",
                "occurred_at": stamp(sent_ms, "Z"), "message_id": name,
            }  # fmt: skip
            number = str(fields["recipient"])
            if number[0] == "+" and rng.random() < 0.4:
                stop["recipient"] = self._spelled(number)
            before_or_after = due.sent_ms + rng.choice((0, 5_000))
            events.append(self.event(before_or_after, ENGAGEMENTS, stop, "stop"))
        return events
