"""The expected rows of reports, computed from a world in plain Python.

It shares no code with the reports: it reads the simulator's events and its oracle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from deploy.simulator.oracle.facts import moment
from deploy.simulator.oracle.messages import Message
from models.numbers import person_of
from tests.reports.world import World

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(ms: int) -> datetime | None:
    """A time as reports give it."""
    return EPOCH + timedelta(milliseconds=ms) if ms else None


@cache
def day_of(ms: int, zone: str) -> date:
    """The local day of a time."""
    return (EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(zone)).date()


#: Milliseconds between a click of a program and the delivery, or a click on another link.
AFTER_DELIVERY_MS, OTHER_LINK_MS = 2_000, 1_000


class Engagement(NamedTuple):
    """What somebody did in a campaign. person: "" when unknown. automated: a program clicked."""

    person: str
    link_id: str
    url: str
    automated: bool = False


@cache
def truth_of(world: World, account: str) -> Truth:
    """What is true of an account; computed once for all tests."""
    return Truth(world, account)


class Truth:
    """What is true of one account. messages and texts by message id; engagements by event id."""

    def __init__(self, world: World, account: str) -> None:
        self.account = account
        self.messages: dict[str, Message] = {
            name: message
            for (owner, name), message in world.expected.messages.items()
            if owner == account
        }
        self.undetermined: dict[str, set[str]] = {
            name: fields
            for (owner, name), fields in world.expected.undetermined.items()
            if owner == account
        }
        self.texts = _texts(
            event
            for event in world.events["sends"]
            if event["account"] == account and event.get("source") not in VERIFICATION
        )
        self.engagements: dict[str, dict[str, Any]] = {}
        for event in world.events["engagements"]:
            if event["account"] == account:
                self.engagements.setdefault(event["event_id"], event)
        self.campaign_records = [
            record for record in world.events["campaigns"] if record["account"] == account
        ]
        self.recipients = {
            number: status
            for (owner, number), status in world.expected.recipients.items()
            if owner == account
        }
        self.undetermined_recipients = {
            person
            for owner, person, *_ in (
                *world.expected.undetermined_recipients, *world.expected.undetermined_channels
            )
            if owner == account
        }  # fmt: skip
        self.held = _held(world, account)

    @cached_property
    def campaigns(self) -> list[str]:
        """Campaigns with messages, the biggest first."""
        counts = Counter(one.campaign_id for one in self.messages.values() if one.campaign_id)
        return sorted(counts, key=lambda one: (-counts[one], one))

    def sent(self, zone: str, first: date, last: date) -> list[tuple[str, Message]]:
        """Messages of local days, received ones included, the newest first."""
        found = [
            (name, message)
            for name, message in self.messages.items()
            if first <= day_of(message.sent_at, zone) <= last
        ]
        return newest_first(found)

    @cache  # noqa: B019 - truths live as long as the session
    def of_campaign(self, campaign: str) -> list[tuple[str, Message]]:
        """Outbound messages of a campaign, the newest first."""
        return newest_first(
            (name, message)
            for name, message in self.messages.items()
            if message.campaign_id == campaign and message.direction == "outbound"
        )

    @cache  # noqa: B019
    def engagements_of(self, campaign: str, kind: str) -> list[Engagement]:
        """Events of a campaign: of the campaign that an event names, else that of its message.
        The message gives the person, whatever number the event names, if it is of the same
        campaign."""
        found, clicks = [], self._clicks_by_message
        for event in self.engagements.values():
            message = self.messages.get(event.get("message_id") or "")
            own = message.campaign_id if message else ""
            if event["type"] == kind and campaign == (event.get("campaign_id") or own):
                theirs = message if message and own == campaign else None
                automated = bool(event.get("automated"))
                if kind == "click":
                    others = clicks.get(event.get("message_id") or "", [])
                    automated |= theirs is not None and _is_at_delivery(event, theirs)
                    automated |= any(_is_other_link(event, other) for other in others)
                number = theirs.recipient if theirs else event.get("recipient") or ""
                link, url = event.get("link_id") or "", event.get("url") or ""
                found.append(Engagement(person_of(number), link, url, automated))
        return found

    def clicks_of(self, campaign: str) -> list[Engagement]:
        """Clicks of people in a campaign."""
        return [one for one in self.engagements_of(campaign, "click") if not one.automated]

    @cached_property
    def _clicks_by_message(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for event in self.engagements.values():
            if event["type"] == "click" and event.get("message_id"):
                found.setdefault(event["message_id"], []).append(event)
        return found

    def engaged(self, kind: str, campaign: str, links: Sequence[str] = ()) -> set[str]:
        """People who clicked (one of the links, if given) or unsubscribed in a campaign."""
        events = self.engagements_of(campaign, kind)
        return {
            one.person
            for one in events
            if not one.automated and (not links or one.link_id in links)
        } - {""}

    def record(self, campaign: str) -> dict[str, Any]:
        """The latest record published about a campaign; empty: none."""
        known = [record for record in self.campaign_records if record["campaign_id"] == campaign]
        return max(known, key=lambda record: moment(record["updated_at"]), default={})

    def channels_suppressed(self, person: str) -> str:
        """Channels by which a person must not be written to, as reports show them."""
        return ", ".join(sorted(channel for number, channel in self.held if number == person))

    def is_held(self, message: Message) -> bool:
        """Whether its person must not be written to now by its channel."""
        return (person_of(message.recipient), message.channel) in self.held

    def shown(self, rows: Iterable[Row]) -> list[Row]:
        """Rows of messages without the fields that depend on what the worker knew when."""
        return [
            {
                name: value
                for name, value in row.items()
                if name not in self.undetermined.get(row["message_id"], ())
            }
            for row in rows
        ]


def _is_at_delivery(click: dict[str, Any], message: Message) -> bool:
    delivered = message.delivered_at
    return bool(delivered) and abs(moment(click["occurred_at"]) - delivered) <= AFTER_DELIVERY_MS


def _is_other_link(one: dict[str, Any], other: dict[str, Any]) -> bool:
    links = {event.get("link_id") or event.get("url") or "" for event in (one, other)} - {""}
    apart = abs(moment(one["occurred_at"]) - moment(other["occurred_at"]))
    return len(links) == 2 and apart <= OTHER_LINK_MS


def newest_first(found: Iterable[tuple[str, Message]]) -> list[tuple[str, Message]]:
    """Messages by id, in the order of reports."""
    return sorted(found, key=lambda one: (-one[1].sent_at, one[0]))


def _held(world: World, account: str) -> dict[tuple[str, str], Any]:
    """Status of the suppressed, by person and channel."""
    return {
        (person, channel): status
        for (owner, person, channel), status in world.expected.channels.items()
        if owner == account and status.suppressed
    }


def _texts(sends: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Text of the latest attempt; of two sends of one attempt the earlier counts."""
    found: dict[str, dict[int, tuple[int, str]]] = {}
    for send in sends:
        if send.get("text"):
            text = (moment(send["sent_at"]), send["text"])
            attempts = found.setdefault(send["message_id"], {})
            attempt = send.get("attempt") or 1
            attempts[attempt] = min(attempts.get(attempt, text), text)
    return {name: attempts[max(attempts)][1] for name, attempts in found.items()}


def message_row(name: str, message: Message, text: str) -> Row:
    """Every column that a report may show of a message."""
    return {
        **{field: getattr(message, field) for field in WORDS},
        "message_id": name,
        "content": text,
        **{field: at(getattr(message, field)) for field in TIMES},
        "credits": Decimal(message.credits) / 1_000_000,
        "price": Decimal(message.price) / 1_000_000 if message.currency else None,
        "repaired": list(message.repaired),
    }


WORDS = (
    "channel", "direction", "source", "sender_id", "sent_by", "campaign_id", "message_type",
    "recipient", "country", "external_id", "email", "platform", "provider", "segments", "attempts",
    "status", "platform_status", "carrier_status", "bounce", "error_code", "error_text",
    "fail_reason", "provider_message_id", "template", "category", "reference", "mccmnc", "currency",
)  # fmt: skip
TIMES = (
    "sent_at", "delivered_at", "read_at", "next_attempt_at", "clicked_at", "unsubscribed_at",
    "automated_clicked_at", "converted_at",
)  # fmt: skip
#: What sends one-time codes; their texts are not shown.
VERIFICATION = ("verification", "open_api_verification")


def only(row: Row, wanted: Iterable[str]) -> Row:
    """Some columns of a row."""
    return {name: row[name] for name in wanted}
