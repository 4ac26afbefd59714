"""What campaigns must say: plain Python over the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from deploy.simulator.oracle.facts import moment
from deploy.simulator.oracle.messages import Message
from tests.reports.counting import Messages, Row, truth_of
from tests.reports.truth import Truth
from tests.reports.world import World


class Engaged(NamedTuple):
    """A click or an unsubscribe of a campaign; person: a number, empty when nobody knows it."""

    person: str
    link_id: str
    url: str


def messages_of(world: World, account: str, campaign: str) -> Messages:
    """All outbound messages of a campaign."""
    return dict(truth_of(world, account).of_campaign(campaign))


def engaged(truth: Truth, campaign: str, kind: str) -> list[Engaged]:
    """Clicks or unsubscribes of a campaign, by the words of the issue."""
    found = []
    for event in truth.engagements.values():
        message = truth.messages.get(event.get("message_id") or "")
        if event["type"] == kind and campaign == campaign_of(event, message):
            found.append(
                Engaged(
                    person_of(event, message, campaign),
                    event.get("link_id") or "",
                    event.get("url") or "",
                )
            )
    return found


def campaign_of(event: dict[str, Any], message: Message | None) -> str:
    """The campaign an event names, else that of its message."""
    return event.get("campaign_id") or (message.campaign_id if message else "")


def person_of(event: dict[str, Any], message: Message | None, campaign: str) -> str:
    """The number an event names, else that of its message, if that is one of the campaign."""
    behind = message.recipient if message and message.campaign_id == campaign else ""
    return event.get("recipient") or behind


def people(events: Iterable[Engaged]) -> int:
    """How many people did it."""
    return len({event.person for event in events} - {""})


def record_of(world: World, account: str, campaign: str) -> dict[str, Any] | None:
    """What was published last about a campaign."""
    records = [
        record
        for record in world.events["campaigns"]
        if (record["account"], record["campaign_id"]) == (account, campaign)
    ]
    return max(records, key=lambda record: moment(record["updated_at"]), default=None)


def ranked(rows: Iterable[Row], by: str, *names: str) -> list[Row]:
    """Rows with the greatest count first, then by their names."""
    return sorted(rows, key=lambda row: (-row[by], *(row[name] for name in names)))


def campaigns_of(world: World, account: str) -> Sequence[str]:
    """Campaigns of an account, the biggest first."""
    return truth_of(world, account).campaigns
