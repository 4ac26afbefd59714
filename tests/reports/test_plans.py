"""Reports of rows read what they need: their conditions reach keys and indexes of the tables.

Looked up in ClickHouse's own plans, never in times.
"""

import pytest

from reports.catalogue import BY_NAME
from tests.reports.queries import biggest, query_of, required_params
from tests.reports.truth import truth_of
from tests.reports.world import World


def plan(world: World, report: str, section: str, params: dict[str, str]) -> dict[str, list[str]]:
    """What a plan says of each table it reads: keys, conditions and names of indexes."""
    account = biggest(world)
    definition = BY_NAME[report]
    words = {**required_params(truth_of(world, account), definition), **params}
    query = query_of(world, definition, account, words)
    wanted = definition.section(section)
    sql = f"EXPLAIN indexes = 1 {wanted.sql}"
    found: dict[str, list[str]] = {}
    table = ""
    for (line,) in world.database.rows(sql, query.parameters(wanted, 25)).rows:
        said_there = line.strip(" │├└─")
        if "ReadFromMergeTree (" in said_there:
            table = said_there.rpartition(".")[2].rstrip(")")
        elif said_there.startswith(("Condition:", "Name:")):
            found.setdefault(table, []).append(said_there)
    return found


@pytest.mark.parametrize(
    ("report", "section", "params", "table", "wanted"),
    [
        ("messages", "", {}, "messages", ("account in", "sent_at in (-Inf", "sent_at in ['")),
        ("messages", "", {"recipient": "+358401234567"}, "messages", ("Name: by_person",)),
        ("messages", "", {"content": "yes"}, "message_texts", ("message_id in 25-element set",)),
        ("message", "sent", {}, "messages", ("Name: by_message", "account in")),
        ("message", "timeline", {}, "engagements", ("Name: by_message", "account in")),
        ("message", "timeline", {}, "strikes", ("Name: by_message", "account in")),
        ("whatsapp", "", {}, "messages", ("account in", "sent_at in (-Inf", "sent_at in ['")),
        ("singles", "", {}, "messages", ("account in", "sent_at in (-Inf", "sent_at in ['")),
        ("singles", "", {}, "message_texts", ("message_id in 25-element set", "account in")),
        (
            "person",
            "",
            {"person": "+358401234567"},
            "messages",
            ("Name: by_person", "sent_at in (-Inf"),
        ),
        (
            "person",
            "",
            {"person": "A@b.c"},
            "messages",
            ("Name: by_email_in_any_case", "sent_at in ['"),
        ),
        (
            "person",
            "",
            {"person": "crm-1"},
            "messages",
            ("Name: by_external_id_in_any_case", "account in"),
        ),
        ("person", "suppressions", {}, "suppression_records", ("account in",)),
        ("person", "suppressions", {}, "strikes", ("recipient in", "account in")),
        ("recipients", "", {}, "messages", ("toDate(sent_at) in", "account in")),
        ("failed", "", {}, "messages", ("toDate(sent_at) in", "account in")),
        ("suppressions", "numbers", {}, "suppression_records", ("account in",)),
        ("suppressions", "numbers", {}, "strikes", ("recipient in", "account in")),
        ("suppressions", "strikes", {}, "strikes", ("recipient in", "account in")),
        ("recipients", "", {}, "suppression_records", ("account in",)),
        ("suppressions", "strikes", {}, "messages", ("sent_at in", "account in")),
    ],
)
def test_conditions_reach_keys_and_indexes(
    worlds: list[World],
    report: str,
    section: str,
    params: dict[str, str],
    table: str,
    wanted: tuple[str, ...],
) -> None:
    found = " ".join(plan(worlds[0], report, section, params)[table])
    assert all(words in found for words in wanted), found


def test_texts_are_read_only_on_request(worlds: list[World]) -> None:
    assert "message_texts" in plan(worlds[0], "messages", "", {"content": "yes"})
    quiet = plan(worlds[0], "messages", "", {})
    assert "message_id in 0-element set" in " ".join(quiet["message_texts"])
