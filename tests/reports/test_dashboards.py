"""Every query of the dashboard *delivery* runs, and returns the figures of the reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.reports.queries import biggest
from tests.reports.truth import truth_of
from tests.reports.world import World
from tests.support.grafana import Panel, Range, panels, sql_of, variables

PANELS = panels("delivery")
TITLES = [panel.title for panel in PANELS]
every_panel = pytest.mark.parametrize("panel", PANELS, ids=TITLES)


def period_of(world: World, days: float) -> Range:
    """The last days before the world's present, as the time picker gives them."""
    return Range(world.now - timedelta(days=days), world.now)


def chosen(world: World, **values: str) -> dict[str, str]:
    """Values of the variables: of the biggest account, both channels, days of UTC."""
    return {"account": biggest(world), "channel": "both", "zone": "UTC", **values}


def records(world: World, text: str, values: dict[str, str], period: Range) -> list[dict[str, Any]]:
    return world.database.rows(sql_of(text, values, period), {}).records()


def answers(world: World, title: str, period: Range, **values: str) -> list[dict[str, Any]]:
    """Rows of a panel."""
    panel = PANELS[TITLES.index(title)]
    return records(world, panel.targets[0].text, chosen(world, **values), period)


def total(world: World, title: str, column: str, period: Range, **values: str) -> float:
    return sum(row[column] for row in answers(world, title, period, **values))


def option(world: World, name: str, **values: str) -> list[str]:
    """The choices of a variable that queries ClickHouse."""
    rows = records(world, variables("delivery")[name]["query"], values, period_of(world, 7))
    return [one for row in rows for one in row.values()]


@every_panel
@pytest.mark.parametrize("days", [1, 7])
def test_every_panel_shows_data(world: World, panel: Panel, days: int) -> None:
    (target,) = panel.targets
    assert records(world, target.text, chosen(world), period_of(world, days))


@every_panel
def test_every_column_has_data(worlds: list[World], panel: Panel) -> None:
    """In some account of some world: rare reasons are not in all."""
    (target,) = panel.targets
    found = [
        row
        for world in worlds
        for account in world.accounts
        for row in records(world, target.text, chosen(world, account=account), period_of(world, 7))
    ]
    for column in found[0]:
        assert any(row[column] for row in found), column


@every_panel
def test_fields_with_properties_are_columns(world: World, panel: Panel) -> None:
    (target,) = panel.targets
    rows = records(world, target.text, chosen(world), period_of(world, 7))
    assert set(panel.fields) <= set(rows[0])
    if panel.kind == "table":
        assert set(panel.fields) == set(rows[0])


@every_panel
def test_series_are_as_the_plugin_wants_them(world: World, panel: Panel) -> None:
    """By a column `time`, ascending; else one row for each value."""
    (target,) = panel.targets
    assert target.over_time == (panel.kind == "timeseries")
    rows = records(world, target.text, chosen(world), period_of(world, 7))
    if not target.over_time:
        assert len(rows) == 1 or panel.kind == "table"
        return
    times = [row["time"] for row in rows]
    assert len(set(times)) > 1 and times == sorted(times)
    assert all(isinstance(at, datetime) for at in times)
    words = [name for name, value in rows[0].items() if isinstance(value, str)]
    assert len(words) <= 1
    assert len({(row["time"], *(row[name] for name in words)) for row in rows}) == len(rows)


@pytest.mark.parametrize("days", [1, 7])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Helsinki", "Asia/Kolkata"])
def test_panels_agree_with_the_truth(world: World, days: int, zone: str) -> None:
    period = period_of(world, days)
    since = period.since.replace(minute=0, second=0).timestamp() * 1000
    until = (period.until.replace(minute=0, second=0) + timedelta(hours=1)).timestamp() * 1000
    sent = [
        message
        for (account, _), message in world.expected.messages.items()
        if account == biggest(world) and message.direction == "outbound"
        and since <= message.sent_at < until
    ]  # fmt: skip
    (row,) = answers(world, "Messages", period, zone=zone)
    assert row["sent"] == len(sent) > 0
    failed = row["undelivered"] + row["rejected"]
    for title in ("Countries", "Providers"):
        assert total(world, title, "sent", period, zone=zone) == row["sent"], title
    for title in ("Failures by reason", "Codes"):
        assert total(world, title, "failed", period, zone=zone) == failed, title
    for column in ("delivered", "queued", "undelivered", "rejected"):
        assert total(world, "Volume", column, period, zone=zone) == row[column], column


def test_slots_are_hours_in_short_periods_and_days_of_the_zone_in_long_ones(world: World) -> None:
    def steps(days: float, zone: str) -> set[float]:
        rows = answers(world, "Volume", period_of(world, days), zone=zone)
        return {row["time"].replace(tzinfo=UTC).timestamp() % 86_400 / 3600 for row in rows}

    assert len(steps(1, "UTC")) > 12
    assert steps(7, "UTC") == {0}
    assert steps(7, "Asia/Kolkata") == {18.5}


def test_the_channel_filters(world: World) -> None:
    period = period_of(world, 7)
    for title, column in (
        ("Messages", "sent"),
        ("Volume", "delivered"),
        ("Providers", "sent"),
        ("Codes", "failed"),
        ("Suppressions that began", "unsubscribed"),
    ):
        both = total(world, title, column, period)
        sms, whatsapp = (
            total(world, title, column, period, channel=one) for one in ("sms", "whatsapp")
        )
        assert 0 < sms < both, title
        # A number may be suppressed on both channels, and counts once.
        assert sms + whatsapp == both or (column == "unsubscribed" and sms + whatsapp > both), title


def test_suppressed_numbers_are_those_of_the_truth(world: World) -> None:
    for account in world.accounts:
        truth = truth_of(world, account)
        unsure = truth.undetermined_recipients
        held = {number for number, status in truth.recipients.items() if status.suppressed}
        (row,) = answers(world, "Suppressed numbers", period_of(world, 7), account=account)
        assert len(held - unsure) <= row["numbers"] <= len(held | unsure)


def test_variables_offer_what_there_is(world: World) -> None:
    assert option(world, "account") == world.accounts
    zones = {one["account"]: one.get("time_zone", "UTC") for one in world.events["accounts"]}
    assert len(set(zones.values())) > 1
    for account in world.accounts:
        assert option(world, "zone", account=account) == [zones.get(account, "UTC")]


def test_the_first_choice_of_the_channel_is_both() -> None:
    channel = variables("delivery")["channel"]
    assert channel["query"].split(",") == ["both", "sms", "whatsapp"]
    assert channel["current"]["value"] == "both"
    assert list(variables("delivery")) == ["account", "channel", "zone"]


def test_an_account_with_a_quote_in_its_name_breaks_no_query(world: World) -> None:
    for panel in PANELS:
        rows = records(
            world, panel.targets[0].text, chosen(world, account="it's"), period_of(world, 7)
        )
        assert not any(row.get("sent") or row.get("numbers") for row in rows)


def test_what_grafana_does_not_know_is_noticed(world: World) -> None:
    period = period_of(world, 7)
    for text in ("$__fromtime", "${accounts}", "${account:sqlstring}"):
        with pytest.raises(ValueError, match=r"\$"):
            sql_of(text, chosen(world), period)
