"""Failed users against the truth: everybody a campaign did not reach, and nobody else."""

from reports.catalogue.failed import FAILED, IDENTIFIERS
from tests.reports.queries import query_of, rows_of
from tests.reports.test_recipients import OF_MESSAGES, people
from tests.reports.truth import only, truth_of
from tests.reports.world import World

COLUMNS = [column.name for column in FAILED.sections[0].columns]


def test_exactly_the_users_who_failed_are_listed_with_their_reasons(world: World) -> None:
    reasons = set()
    for account in world.accounts:
        truth = truth_of(world, account)
        for campaign in truth.campaigns[:3]:
            sent = truth.of_campaign(campaign)
            failed = [one for one in sent if OF_MESSAGES["failed"](one[1])]
            rows = truth.shown(
                rows_of(world, query_of(world, FAILED, account, {"campaign": campaign}))
            )
            wanted = people(truth, failed)
            assert rows == [only(row, [name for name in COLUMNS if name in row]) for row in wanted]
            reasons |= {row.get("fail_reason") for row in rows}
            for channel in ("sms",):
                params = {"campaign": campaign, "channel": channel}
                rows = rows_of(world, query_of(world, FAILED, account, params))
                theirs = people(truth, [one for one in failed if one[1].channel == channel])
                assert [row["recipient"] for row in rows] == [row["recipient"] for row in theirs]
    assert "" not in reasons and len(reasons) > 5


def test_the_identifiers_chosen_are_shown_and_the_reason_always(world: World) -> None:
    (section,) = FAILED.sections
    for chosen, shown in (
        ([], ["external_id", "recipient", "fail_reason"]),
        (["email"], ["email", "fail_reason"]),
        (["message_id", "recipient"], ["recipient", "message_id", "fail_reason"]),
        ([one.name for one in IDENTIFIERS], [*(one.name for one in IDENTIFIERS), "fail_reason"]),
    ):
        query = query_of(world, FAILED, "acme", {"campaign": "x", "identifiers": chosen})
        assert [column.name for column in query.columns(section)] == shown
