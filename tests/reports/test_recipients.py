"""Recipients of campaigns against the truth, person by person, in every tab."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import get_args

from deploy.simulator.oracle.messages import Message
from models.numbers import person_of
from reports.catalogue.recipients import RECIPIENTS
from reports.definition.audience import Action
from reports.query.fetch import left_out
from tests.reports.counting import is_delivered, is_failed, is_soft
from tests.reports.queries import biggest, query_of, rows_of
from tests.reports.truth import Row, Truth, at, message_row, only, truth_of
from tests.reports.world import WORLDS, World

LATEST = (
    "recipient", "external_id", "email", "country", "sent_at", "platform_status", "carrier_status",
    "fail_reason", "message_id", "error_text",
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
    if tab == "suppressed":
        return truth.is_held
    clicked = truth.engaged("click", campaign, links)
    if tab == "not_clicked":
        return lambda one: is_delivered(one) and person_of(one.recipient) not in clicked
    people = clicked if tab == "clicked" else truth.engaged("unsubscribe", campaign)
    return lambda one: person_of(one.recipient) in people


def people(truth: Truth, messages: Iterable[tuple[str, Message]]) -> list[Row]:
    """One row a person. messages: the newest first."""
    found: dict[str, list[tuple[str, Message]]] = {}
    for name, message in messages:
        found.setdefault(person_of(message.recipient), []).append((name, message))
    rows = []
    for person, theirs in found.items():
        name, latest = max(theirs, key=lambda one: (one[1].sent_at, one[0]))
        clicks = [one.clicked_at for _, one in theirs if one.clicked_at]
        unsubscribes = [one.unsubscribed_at for _, one in theirs if one.unsubscribed_at]
        rows.append({
            **only(message_row(name, latest, ""), LATEST),
            "suppressed": truth.channels_suppressed(person),
            "messages": len(theirs),
            "clicked_at": at(min(clicks, default=0)),
            "unsubscribed_at": at(min(unsubscribes, default=0)),
        })  # fmt: skip
    rows.sort(key=lambda row: row["recipient"])
    return settled(truth, sorted(rows, key=lambda row: row["sent_at"], reverse=True))


def settled(truth: Truth, rows: list[Row], tab: str = "") -> list[Row]:
    """Without what depends on the moment: whether some people are suppressed."""
    kept = []
    for row in truth.shown(rows):
        if person_of(row["recipient"]) not in truth.undetermined_recipients:
            kept.append(row)
        elif tab != "suppressed":
            kept.append({name: value for name, value in row.items() if name != "suppressed"})
    return kept


def test_every_tab_lists_exactly_its_people(world: World) -> None:
    """All tabs of the biggest campaign, rare ones of more; of the smallest, each in one world."""
    seen: Counter[str] = Counter()
    several, place = 0, WORLDS.index(world.setting)
    account = biggest(world)
    truth = truth_of(world, account)
    tabs = get_args(Action)
    tried = {
        truth.campaigns[-1]: tabs[place :: len(WORLDS)],
        **dict.fromkeys(truth.campaigns[1:6], ("unsubscribed", "suppressed")),
        truth.campaigns[0]: tabs,
    }
    for campaign, chosen in tried.items():
        sent = truth.of_campaign(campaign)
        for tab in chosen:
            params = {"campaign": campaign, "tab": tab, "with_suppressed": "yes"}
            rows = settled(truth, rows_of(world, query_of(world, RECIPIENTS, account, params)), tab)
            is_meant = belong(truth, campaign, tab)
            wanted = people(truth, [one for one in sent if is_meant(one[1])])
            assert rows == settled(truth, wanted, tab)
            seen[tab] += len(rows)
            several += any(row["messages"] > 1 for row in rows)
        params = {"campaign": campaign, "with_suppressed": "yes"}
        everybody = rows_of(world, query_of(world, RECIPIENTS, account, params))
        assert settled(truth, everybody) == people(truth, sent)
    assert several
    assert all(seen[tab] for tab in tabs if tab != "unsubscribed"), seen


def test_links_choose_among_those_who_clicked(world: World) -> None:
    account = biggest(world)
    truth = truth_of(world, account)
    campaign = truth.campaigns[0]
    sent = truth.of_campaign(campaign)
    for links in (("l1",), ("l2", "l3"), ("none",)):
        clicked = truth.engaged("click", campaign, links)
        assert bool(clicked) == (links != ("none",))
        for tab in ("", "clicked", "not_clicked", "delivered"):
            params = {
                "campaign": campaign, "tab": tab, "link": list(links), "with_suppressed": "yes",
            }  # fmt: skip
            rows = settled(truth, rows_of(world, query_of(world, RECIPIENTS, account, params)))
            is_meant = belong(truth, campaign, tab or "sent", links)
            assert rows == people(
                truth,
                [
                    one for one in sent
                    if is_meant(one[1])
                    and (tab == "not_clicked" or person_of(one[1].recipient) in clicked)
                ],
            )  # fmt: skip


def test_text_and_channel_search(world: World) -> None:
    account = biggest(world)
    truth = truth_of(world, account)
    campaign = truth.campaigns[0]
    sent = truth.of_campaign(campaign)
    number = sent[0][1].recipient
    for search in (number, number[3:9], "ANNA", "crm-00", "@mail.EXAMPLE", "nobody", "%", "é"):
        params = {
            "campaign": campaign, "search": search, "tab": "sent", "with_suppressed": "yes",
        }  # fmt: skip
        rows = settled(truth, rows_of(world, query_of(world, RECIPIENTS, account, params)))
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
        params = {"campaign": campaign, "channel": channel, "with_suppressed": "yes"}
        rows = settled(truth, rows_of(world, query_of(world, RECIPIENTS, account, params)))
        assert rows == people(truth, [one for one in sent if one[1].channel == channel])


def test_suppressed_people_are_left_out_unless_asked_for(world: World) -> None:
    """By the channel of their messages; the tab of suppressed people lists them anyway."""
    account = biggest(world)
    truth = truth_of(world, account)
    left = 0
    for campaign in truth.campaigns[:3]:
        sent = truth.of_campaign(campaign)
        held = {person_of(one.recipient) for _, one in sent if truth.is_held(one)}
        for tab in ("", "delivered", "failed"):
            is_meant = belong(truth, campaign, tab or "sent")
            wanted = {person_of(one.recipient) for _, one in sent if is_meant(one)} - held
            query = query_of(world, RECIPIENTS, account, {"campaign": campaign, "tab": tab})
            found = {person_of(row["recipient"]) for row in rows_of(world, query)}
            unsettled = truth.undetermined_recipients
            assert found - unsettled == wanted - unsettled
            whole = {person_of(one.recipient) for _, one in sent if is_meant(one)}
            assert left_out(world.database, query) == len(whole) - len(found)
            left += len(whole) - len(found)
        params = {"campaign": campaign, "tab": "suppressed"}
        found = {
            one["recipient"] for one in rows_of(world, query_of(world, RECIPIENTS, account, params))
        }
        assert {person_of(one) for one in found} - unsettled == held - unsettled
    assert left
