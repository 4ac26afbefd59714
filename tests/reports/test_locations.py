"""Location distribution against the truth, and against the overview."""

import pytest

from reports.catalogue.locations import LOCATIONS
from reports.catalogue.overview import OVERVIEW
from tests.reports.counting import counted, grouped, share
from tests.reports.queries import queries, query_of, rows_of
from tests.reports.world import World, every_world_and_zone


@every_world_and_zone
def test_countries_are_those_of_the_truth(world: World, zone: str) -> None:
    for query, messages in queries(world, LOCATIONS, zone):
        countries = grouped(messages, lambda _, message: message.country)
        wanted = [
            {"country": country, "share": share(len(sent), len(messages)), **counted(sent.values())}
            for country, sent in countries.items()
        ]
        wanted.sort(key=lambda row: (-row["sent"], row["country"]))
        assert rows_of(world, query) == wanted


@every_world_and_zone
def test_countries_add_up_to_the_overview(world: World, zone: str) -> None:
    narrowed = {"source": ["campaign", "direct"]}
    for query, _ in queries(world, LOCATIONS, zone, **narrowed):
        rows = rows_of(world, query)
        same = query_of(world, OVERVIEW, query.account, query.raw_params(), zone)
        (totals,) = rows_of(world, same, "totals")
        for name in totals.keys() - {"delivery_rate"}:
            assert sum(row[name] for row in rows) == totals[name]
        assert sum(row["share"] for row in rows) == pytest.approx(1.0 if rows else 0.0)
