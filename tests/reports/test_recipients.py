"""Recipients of campaigns against the truth, person by person, in every tab."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import get_args

from deploy.simulator.oracle.messages import Message
from reports.catalogue.recipients import RECIPIENTS
from reports.definition.audience import Action
from tests.reports.counting import is_delivered, is_failed, is_soft
from tests.reports.queries import biggest, query_of, rows_of
from tests.reports.truth import Row, Truth, at, message_row, only, truth_of
from tests.reports.world import WORLDS, World

LATEST = (
    "external_id", "email", "country", "sent_at", "platform_status", "carrier_status",
    "fail_reason", "message_id",
)  # fmt: skip
OF_MESSAGES: dict[str, Callable[[Message], bool]] = {
    "sent": lambda one: True,
    "delivered": is_delivered,
    "pending": lambda one: one.status in ("submitted", "queued"),
    "soft": is_soft,
    "hard": lambda one: one.status == "undelivered" and one.bounce == "hard",
    "deleted": lambda one: one.status == "deleted",
    "failed": is_failed,
}


def belong(
    truth: Truth, campaign: str, tab: str, links: tuple[str, ...] = ()
) -> Callable[[Message], bool]:
    """Whether a message of the campaign is one of the tab."""
    if tab in OF_MESSAGES:
        return OF_MESSAGES[tab]
    if tab == "not_clicked":
        clicked = truth.engaged("click", campaign, links)
        return lambda one: one.recipient not in clicked
    people = {
        "clicked": truth.engaged("click", campaign, links),
        "unsubscribed": truth.engaged("unsubscribe", campaign),
        "suppressed": truth.suppressed(),
    }[tab]
    return lambda one: one.recipient in people


def people(truth: Truth, messages: Iterable[tuple[str, Message]]) -> list[Row]:
    """One row a person. messages: the newest first."""
    found: dict[str, list[tuple[str, Message]]] = {}
    for name, message in messages:
        found.setdefault(message.recipient, []).append((name, message))
    rows = []
    for number, theirs in found.items():
        name, latest = max(theirs, key=lambda one: (one[1].sent_at, one[0]))
        clicks = [one.clicked_at for _, one in theirs if one.clicked_at]
        unsubscribes = [one.unsubscribed_at for _, one in theirs if one.unsubscribed_at]
        rows.append({
            "recipient": number,
            **only(message_row(name, latest, ""), LATEST),
            "messages": len(theirs),
            "clicked_at": at(min(clicks, default=0)),
            "unsubscribed_at": at(min(unsubscribes, default=0)),
        })  # fmt: skip
    rows.sort(key=lambda row: row["recipient"])
    return truth.shown(sorted(rows, key=lambda row: row["sent_at"], reverse=True))


def settled(truth: Truth, rows: list[Row], tab: str) -> list[Row]:
    """Without people of whom it depends on the moment whether they are suppressed."""
    hidden = truth.undetermined_recipients if tab == "suppressed" else set()
    return truth.shown(row for row in rows if row["recipient"] not in hidden)


def test_every_tab_lists_exactly_its_people(world: World) -> None:
    """All tabs of the biggest campaign; of the smallest, each tab in one world."""
    seen: Counter[str] = Counter()
    several, place = 0, WORLDS.index(world.setting)
    account = biggest(world)
    truth = truth_of(world, account)
    for campaign in (truth.campaigns[0], truth.campaigns[-1]):
        sent = truth.of_campaign(campaign)
        tabs = get_args(Action)
        for tab in tabs if campaign == truth.campaigns[0] else tabs[place :: len(WORLDS)]:
            query = query_of(world, RECIPIENTS, account, {"campaign": campaign, "tab": tab})
            rows = settled(truth, rows_of(world, query), tab)
            is_meant = belong(truth, campaign, tab)
            assert rows == people(truth, [one for one in sent if is_meant(one[1])])
            seen[tab] += len(rows)
            several += any(row["messages"] > 1 for row in rows)
        everybody = rows_of(world, query_of(world, RECIPIENTS, account, {"campaign": campaign}))
        assert truth.shown(everybody) == people(truth, sent)
    assert several
    assert all(seen[tab] for tab in get_args(Action)), seen


def test_links_choose_among_those_who_clicked(world: World) -> None:
    account = biggest(world)
    truth = truth_of(world, account)
    campaign = truth.campaigns[0]
    sent = truth.of_campaign(campaign)
    for links in (("l1",), ("l2", "l3"), ("none",)):
        clicked = truth.engaged("click", campaign, links)
        assert bool(clicked) == (links != ("none",))
        for tab in ("", "clicked", "not_clicked", "delivered"):
            params = {"campaign": campaign, "tab": tab, "link": list(links)}
            rows = truth.shown(rows_of(world, query_of(world, RECIPIENTS, account, params)))
            is_meant = belong(truth, campaign, tab or "sent", links)
            assert rows == people(
                truth,
                [
                    one for one in sent
                    if is_meant(one[1]) and (tab == "not_clicked" or one[1].recipient in clicked)
                ],
            )  # fmt: skip


def test_text_and_channel_search(world: World) -> None:
    account = biggest(world)
    truth = truth_of(world, account)
    campaign = truth.campaigns[0]
    sent = truth.of_campaign(campaign)
    number = sent[0][1].recipient
    for search in (number, number[3:9], "ANNA", "crm-00", "@mail.EXAMPLE", "nobody", "%", "é"):
        params = {"campaign": campaign, "search": search, "tab": "sent"}
        rows = truth.shown(rows_of(world, query_of(world, RECIPIENTS, account, params)))
        assert rows == people(
            truth,
            [
                one for one in sent
                if any(
                    search.lower() in field.lower()
                    for field in (one[1].recipient, one[1].external_id, one[1].email)
                )
            ],
        )  # fmt: skip
        assert bool(rows) == (search not in ("nobody", "%", "é"))
    for channel in ("sms", "whatsapp"):
        params = {"campaign": campaign, "channel": channel}
        rows = truth.shown(rows_of(world, query_of(world, RECIPIENTS, account, params)))
        assert rows == people(truth, [one for one in sent if one[1].channel == channel])
