"""Failed users against the truth: everybody a campaign did not reach, and nobody else."""

from models.numbers import person_of
from reports.catalogue.failed import FAILED, IDENTIFIERS
from reports.query.fetch import left_out
from tests.reports.queries import query_of, rows_of
from tests.reports.test_recipients import OF_MESSAGES, people, settled
from tests.reports.truth import Truth, only, truth_of
from tests.reports.world import World

COLUMNS = [column.name for column in FAILED.sections[0].columns]


def test_exactly_the_users_who_failed_are_listed_with_their_reasons(world: World) -> None:
    reasons = set()
    for account in world.accounts:
        truth = truth_of(world, account)
        for campaign in truth.campaigns[:3]:
            sent = truth.of_campaign(campaign)
            failed = [one for one in sent if OF_MESSAGES["failed"](one[1])]
            params = {"campaign": campaign, "with_suppressed": "yes"}
            rows = settled(truth, rows_of(world, query_of(world, FAILED, account, params)))
            wanted = people(truth, failed)
            assert rows == [only(row, [name for name in COLUMNS if name in row]) for row in wanted]
            reasons |= {row.get("fail_reason") for row in rows}
            for channel in ("sms",):
                params = {"campaign": campaign, "channel": channel, "with_suppressed": "yes"}
                rows = rows_of(world, query_of(world, FAILED, account, params))
                theirs = people(truth, [one for one in failed if one[1].channel == channel])
                assert [row["recipient"] for row in rows] == [row["recipient"] for row in theirs]
    assert "" not in reasons and len(reasons) > 5


def test_the_identifiers_chosen_are_shown_and_the_reason_always(world: World) -> None:
    (section,) = FAILED.sections
    for chosen, shown in (
        ([], ["external_id", "recipient"]),
        (["email"], ["email"]),
        (["message_id", "recipient"], ["recipient", "message_id"]),
        ([one.name for one in IDENTIFIERS], [one.name for one in IDENTIFIERS]),
    ):
        query = query_of(world, FAILED, "acme", {"campaign": "x", "identifiers": chosen})
        names = [column.name for column in query.columns(section)]
        assert names == [*shown, "fail_reason", "suppressed"]


def test_suppressed_people_are_left_out_unless_asked_for(worlds: list[World]) -> None:
    left = 0
    for world in worlds:
        for account in world.accounts:
            truth = truth_of(world, account)
            left += sum(left_out_of(world, truth, campaign) for campaign in truth.campaigns)
    assert left


def left_out_of(world: World, truth: Truth, campaign: str) -> int:
    """Checks the people of one campaign."""
    sent = truth.of_campaign(campaign)
    failed = {person_of(one.recipient) for _, one in sent if OF_MESSAGES["failed"](one)}
    held = {person_of(one.recipient) for _, one in sent if truth.is_held(one)}
    query = query_of(world, FAILED, truth.account, {"campaign": campaign})
    found = {person_of(row["recipient"]) for row in rows_of(world, query)}
    assert not (found ^ (failed - held)) - truth.undetermined_recipients
    left = left_out(world.database, query)
    assert left == len(failed) - len(found)
    return left
