"""Single sends against the truth."""

from reports.catalogue.singles import SINGLES
from tests.reports.queries import query_of, rows_of
from tests.reports.truth import Row, Truth, message_row, only, truth_of
from tests.reports.world import World, every_world_and_zone

COLUMNS = [column.name for column in SINGLES.sections[0].columns]


def single(truth: Truth, name: str) -> Row:
    text = truth.texts.get(name, "")
    row = message_row(name, truth.messages[name], text)
    return only(row | {"start_of_content": text[:60]}, COLUMNS)


@every_world_and_zone
def test_singles_are_the_messages_of_no_campaign(world: World, zone: str) -> None:
    for account in world.accounts:
        truth = truth_of(world, account)
        query = query_of(world, SINGLES, account, {}, zone)
        wanted = [
            single(truth, name)
            for name, one in truth.sent(zone, query.period.first, query.period.last)
            if one.direction == "outbound" and not one.campaign_id
        ]
        rows = truth.shown(rows_of(world, query))
        assert rows == truth.shown(wanted)
        for number in sorted({row["recipient"] for row in wanted})[: world.turn(zone) == 0]:
            for params in ({"recipient": number}, {"recipient": number, "channel": "sms"}):
                rows = truth.shown(rows_of(world, query_of(world, SINGLES, account, params, zone)))
                channels = ("sms",) if "channel" in params else ("sms", "whatsapp")
                assert rows == truth.shown(
                    row
                    for row in wanted
                    if row["recipient"] == number and row["channel"] in channels
                )
