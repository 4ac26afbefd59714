"""The life of one message: its sends, receipts and engagements with their delays and accidents."""

from __future__ import annotations

from itertools import count
from math import exp, log
from random import Random

from deploy.simulator.event import ENGAGEMENTS, RECEIPTS, SENDS, Event
from deploy.simulator.traffic.encoding import Fields, key_of, stamp, to_json
from deploy.simulator.traffic.fields import (
    default_validity_s,
    inbound_fields,
    receipt_fields,
    send_fields,
)
from deploy.simulator.traffic.load_profiles import Due
from deploy.simulator.traffic.message import Message
from deploy.simulator.traffic.outcomes import Report, attempt_reports
from deploy.simulator.traffic.phones import phone_number
from deploy.simulator.traffic.profiles import (
    DARK,
    HOUR_S,
    SMS_PROVIDERS,
    VALIDITIES_S,
    WHATSAPP_PROVIDERS,
    Account,
    Provider,
)
from deploy.simulator.traffic.recipients import Contact, People, Person
from deploy.simulator.traffic.sender_retries import due_ms, next_attempt_ms

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
# No deadline and no retry may be due between ten minutes before `as_of` and two hours after it (and
# a little more, for conflicting sends): what is expected must not depend on when somebody looks.
QUIET_BEFORE_MS, QUIET_AFTER_MS = 13 * MINUTE_MS, 2 * HOUR_MS + 3 * MINUTE_MS


class Journeys:
    """Makes the events of one message after another from one random generator.

    The events of a message are not sorted, and those that would arrive after `as_of_ms` are
    left out: they are still on their way. calm: no retry may be due around `as_of_ms` (traffic of
    an hour cannot do without).
    """

    def __init__(self, rng: Random, seed: int, as_of_ms: int, calm: bool = True) -> None:
        self.rng = rng
        self.as_of_ms = as_of_ms
        self.calm = calm
        self.people = People(rng, self.event)
        self.prefix = f"{seed:x}-"
        self.sequence = count()
        self.numbers = count()

    def of(self, due: Due, account: Account) -> list[Event]:
        """All events of one message that `account` sends (or, rarely, receives)."""
        rng = self.rng
        if due.campaign is None and rng.random() < 0.06:
            return self._arrived([self._inbound(due, account)], due)
        message = self._message(due, account)
        events, reports = self._attempts(message)
        if message.campaign and reports and reports[-1].rank >= 4:
            events += self._engagements(message, reports[-1].occurred_ms)
        events += self._consequences(message, events)
        return self._arrived(events, due)

    def _attempts(self, message: Message) -> tuple[list[Event], list[Report]]:
        """Sends and receipts of all attempts, and the reports of the last one."""
        rng = self.rng
        events: list[Event] = []
        orphan = rng.random() < 0.004
        started, attempt = message.sent_ms, 1
        while True:
            provider = rng.choice(WHATSAPP_PROVIDERS if message.whatsapp else SMS_PROVIDERS)
            reports = self._reports(message, provider, attempt, started)
            if not orphan and not (attempt == 1 and rng.random() < 0.0005):
                fields = send_fields(rng, message, provider, attempt, started)
                events += self._sends(message, fields, started)
            events += self._receipts(message, provider, attempt, reports)
            again = 0 if orphan else next_attempt_ms(rng, message, reports, attempt)
            in_time = message.sent_ms + message.validity_s * 1000
            if not again or again > min(in_time, self.as_of_ms):
                return events, reports
            started, attempt = again, attempt + 1

    def _reports(
        self, message: Message, provider: Provider, attempt: int, started: int
    ) -> list[Report]:
        """What the provider reports; no soft end whose retry would be due around `as_of`."""
        reports = attempt_reports(self.rng, message, provider, attempt, started)
        if self.calm and any(report.rank == 2 for report in reports):
            return [
                Report("delivered", report.occurred_ms, 4, {})
                if report.rank == 2 and self._is_due_around_now(message, report)
                else report
                for report in reports
            ]
        return reports

    def _is_due_around_now(self, message: Message, report: Report) -> bool:
        due_at = due_ms(message, report.occurred_ms)
        return -QUIET_BEFORE_MS <= due_at - self.as_of_ms <= QUIET_AFTER_MS

    def _consequences(self, message: Message, events: list[Event]) -> list[Event]:
        """What people decide about a number after what happened to a message."""
        people, who = self.people, Person(message.country, message.person)
        contact = Contact(message.account, who, message.recipient)
        decided = list(people.decide(contact, message.sent_ms))
        bounced = [e for e in events if e.note == "hard"]
        if bounced:
            decided += people.bounced(contact, bounced[0].arrival_ms)
        for event in events:
            if event.note in ("unsubscribe", "by_recipient"):
                decided += people.unsubscribed(contact, event.arrival_ms)
        return decided

    def _arrived(self, events: list[Event], due: Due) -> list[Event]:
        """Those that arrive in time; none before its message exists, whatever clocks say."""
        return [
            event if event.arrival_ms >= due.sent_ms else event._replace(arrival_ms=due.sent_ms)
            for event in events
            if event.arrival_ms <= self.as_of_ms
        ]

    def event(self, at: float, kind: str, fields: Fields, note: str = "") -> Event:
        """The event of some fields, arriving `at` (epoch ms)."""
        return Event(int(at), next(self.sequence), kind, key_of(fields), to_json(fields), note)

    def _message(self, due: Due, account: Account) -> Message:
        rng, sources = self.rng, account.sources
        country, person = self._person(account, due.sent_ms)
        source = rng.choices(sources.names, cum_weights=sources.cumulative)[0]
        if due.campaign:
            source = "campaign"
        elif source == "campaign":
            source = "direct"
        sent_ms = due.sent_ms - due.sent_ms % 1000 if account.seconds_only else due.sent_ms
        name = f"{self.prefix}{next(self.numbers):07x}"
        dark = rng.random() < DARK
        validity_s = 72 * HOUR_S if dark else self._validity_s(account, sent_ms, source)
        key = f"{account.name}/{name}".encode()
        return Message(
            account, name, key, person, country, phone_number(country, person),
            rng.random() < account.whatsapp, source, due.campaign, sent_ms, validity_s, dark,
        )  # fmt: skip

    def _person(self, account: Account, sent_ms: int) -> Person:
        """Whom to write to; most senders leave out the numbers they know to be suppressed."""
        rng = self.rng
        for _ in range(3):
            who = self.people.again(account) or self._anybody(account)
            number = phone_number(*who)
            if not self.people.is_closed(account, number, sent_ms) or rng.random() > account.obeys:
                break
        return who

    def _anybody(self, account: Account) -> Person:
        rng = self.rng
        country = rng.choices(account.countries.names, cum_weights=account.countries.cumulative)[0]
        return Person(country, int(rng.random() ** 2 * account.people))  # some come up often

    def _validity_s(self, account: Account, sent_ms: int, source: str) -> int:
        """Usual periods; longer when the deadline would fall into the quiet time."""
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
        events = [self.event(arrival, SENDS, fields, "late_send" if luck < 0.011 else "")]
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
        return self.event(arrival + self.rng.randint(50, 5000), SENDS, changed, "conflict")

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
            if report.rank == 3 and report.details.get("bounce") == "hard":
                note = note or "hard"
            if report.rank < 2 and luck < disorder:
                arrival, note = arrival + rng.uniform(5_000, 300_000), "held_back"
            fields = receipt_fields(message, provider, attempt, report)
            events.append(self.event(arrival, RECEIPTS, fields, note))
            if luck > 0.99:
                # Told again, in other words: one fact all the same.
                fields["occurred_at"] = stamp(report.occurred_ms, "-07:00")
                fields["received_at"] = stamp(int(arrival), "Z")
                later = arrival + exp(rng.uniform(log(200), log(HOUR_MS)))
                events.append(self.event(later, RECEIPTS, fields, "duplicate"))
        return events

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
        note = "unsubscribe" if kind == "unsubscribe" else ""
        events = [self.event(at + rng.randint(20, 2000), ENGAGEMENTS, fields, note)]
        luck = rng.random()
        if luck < 0.15:  # a second click on another link
            more = at + rng.randint(1000, 600_000)
            second: Fields = {**fields, "event_id": f"f{message.message_id}", "type": "click",
                              "occurred_at": stamp(more, "ms")}  # fmt: skip
            events.append(self.event(more + rng.randint(20, 2000), ENGAGEMENTS, second))
        elif luck < 0.2:
            later = events[0].arrival_ms + rng.randint(100, 60_000)
            events.append(events[0]._replace(
                arrival_ms=later, seq=next(self.sequence), note="duplicate"))  # fmt: skip
        elif luck < 0.25:  # a STOP reply: the provider knows the number only
            del fields["message_id"]
            stop: Fields = {**fields, "event_id": f"s{message.message_id}", "type": "unsubscribe",
                            "recipient": message.recipient}  # fmt: skip
            events.append(self.event(at + 9000, ENGAGEMENTS, stop, "by_recipient"))
        return events

    def _inbound(self, due: Due, account: Account) -> Event:
        sent_ms = due.sent_ms - due.sent_ms % 1000 if account.seconds_only else due.sent_ms
        name = f"{self.prefix}{next(self.numbers):07x}"
        fields = inbound_fields(self.rng, name, account, sent_ms)
        arrival = min(due.sent_ms + self.rng.randint(50, 900), self.as_of_ms)
        return self.event(arrival, SENDS, fields, "inbound")
