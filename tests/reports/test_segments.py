"""Segments: who belongs to them against the truth, their JSON, and the store."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random
from typing import get_args

import pytest

from models.numbers import person_of
from models.vocabulary import Channel
from reports.definition.audience import CLICK_ACTIONS, Action
from reports.query.query import InvalidQuery
from reports.segments.members import COLUMNS, Size, blocks, count, members
from reports.segments.model import MAX_BYTES, Combined, Node, People, Saved, parse, write
from reports.segments.store import SegmentStore
from tests.reports.counting import is_delivered
from tests.reports.queries import biggest
from tests.reports.test_recipients import belong
from tests.reports.truth import Truth, truth_of
from tests.reports.world import WORLDS, World

#: What may have happened to nobody in a campaign.
RARE = ("pending", "deleted", "suppressed", "unsubscribed")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def numbers_of(truth: Truth, node: Node, saved: dict[str, Node]) -> set[str]:
    """The members of a segment, computed from the truth."""
    if isinstance(node, Saved):
        return numbers_of(truth, saved[node.name], saved)
    if isinstance(node, Combined):
        first, *others = [numbers_of(truth, part, saved) for part in node.parts]
        for other in others:
            first = {"and": first & other, "or": first | other, "except": first - other}[node.op]
        return first
    found: set[str] = set()
    everybody: set[str] = set()
    reached: set[str] = set()
    avoided: set[str] = set()
    for campaign in node.campaigns:
        sent = [
            message
            for _, message in truth.of_campaign(campaign)
            if node.channel in (None, message.channel)
        ]
        everybody |= {person_of(message.recipient) for message in sent}
        reached |= {person_of(message.recipient) for message in sent if is_delivered(message)}
        clicked = truth.engaged("click", campaign, tuple(node.links))
        avoided |= clicked
        is_meant = belong(truth, campaign, node.did, tuple(node.links))
        did_it = {person_of(message.recipient) for message in sent if is_meant(message)}
        found |= did_it & clicked if node.links and node.did != "not_clicked" else did_it
    if (node.did, node.not_) == ("clicked", True):
        return reached - avoided
    if node.did == "not_clicked":
        found = reached - avoided
    return everybody - found if node.not_ else found


def settled(truth: Truth, found: set[str], node: Node) -> set[str]:
    """Without people of whom it depends on the moment whether they are suppressed."""
    return found - truth.undetermined_recipients if "suppressed" in write(node) else found


def check(world: World, truth: Truth, node: Node, saved: dict[str, Node] | None = None) -> int:
    """Members and count are those of the truth. Returns how many there are."""
    rows = members(world.database, truth.account, node, with_suppressed=True).records()
    found = [row["recipient"] for row in rows]
    assert found == sorted(set(found))
    size = count(world.database, truth.account, node, with_suppressed=True)
    assert size == (len(found), 0)
    wanted = numbers_of(truth, node, saved or {})
    people = {person_of(number) for number in found}
    assert settled(truth, people, node) == settled(truth, wanted, node)
    return len(found)


def test_people_who_did_or_did_not(world: World) -> None:
    """All actions; their negations, each in one world."""
    truth = truth_of(world, biggest(world))
    campaigns, place = truth.campaigns[1:3], WORLDS.index(world.setting)
    for did in get_args(Action):
        assert check(world, truth, People(campaigns, did)) or did in RARE
    for did in get_args(Action)[place :: len(WORLDS)]:
        found = check(world, truth, People(campaigns, did, True))
        assert found or did == "sent" or did in RARE
    assert check(world, truth, People(campaigns, "clicked", False, ["l1"]))
    assert check(world, truth, People(campaigns, "clicked", True, ["l1", "l2"]))


NARROWED: list[tuple[Action, list[str], Channel | None]] = [
    (action, links, channel)
    for action in get_args(Action)
    for links, channel in (([], "sms"), (["l1"], "whatsapp"), (["l1", "l2"], None))
]


def test_links_and_channel_narrow_every_action(world: World) -> None:
    """Each case in one world, clicks in every world: so that no way to narrow is empty."""
    truth = truth_of(world, biggest(world))
    campaigns, place = truth.campaigns[:1], WORLDS.index(world.setting)
    everybody = check(world, truth, People(campaigns))
    seen: set[tuple[bool, Channel | None]] = set()
    for number, (action, links, channel) in enumerate(NARROWED):
        if action in CLICK_ACTIONS or (number + number // 3) % len(WORLDS) == place:
            found = check(world, truth, People(campaigns, action, False, links, channel))
            assert found <= everybody
            if found:
                seen.add((bool(links), channel))
    assert seen == {(False, "sms"), (True, "whatsapp"), (True, None)}


def test_combinations(world: World) -> None:
    truth = truth_of(world, biggest(world))
    rng = Random(world.setting.seed)

    def grown(depth: int) -> Node:
        if depth == 0 or rng.random() < 0.2:
            campaigns = rng.sample(truth.campaigns[:5], rng.randint(1, 3))
            return People(campaigns, rng.choice(get_args(Action)), rng.random() < 0.4)
        parts = [grown(depth - 1) for _ in range(rng.randint(2, 3))]
        return Combined(rng.choice(("and", "or", "except")), parts)

    sizes = [check(world, truth, grown(2)) for _ in range(6)]
    assert max(sizes)


def test_members_come_in_pages_and_blocks_with_what_is_known_of_them(world: World) -> None:
    truth = truth_of(world, biggest(world))
    campaign = truth.campaigns[0]
    node = People([campaign], "delivered")
    whole = members(world.database, truth.account, node, with_suppressed=True)
    assert whole.names == tuple(column.name for column in COLUMNS)
    pages = [
        row
        for offset in range(0, len(whole.rows), 100)
        for row in members(
            world.database, truth.account, node, 100, offset, with_suppressed=True
        ).rows
    ]
    assert pages == whole.rows
    with blocks(world.database, truth.account, node, with_suppressed=True) as found:
        assert [row for block in found for row in block] == whole.rows
    latest = {one.recipient: one for _, one in reversed(truth.of_campaign(campaign))}
    for number, *known in whole.rows:
        if number in truth.undetermined_recipients:
            continue
        one = latest[number]
        held = truth.channels_suppressed(person_of(number))
        assert known == [one.external_id, one.email, one.country, held]


def test_suppressed_members_are_left_out_unless_asked_for(world: World) -> None:
    """By the channels of the messages that the definition is about."""
    truth = truth_of(world, biggest(world))
    campaigns, left = truth.campaigns[:3], 0
    sent = [one for campaign in campaigns for _, one in truth.of_campaign(campaign)]
    nodes: list[tuple[Node, tuple[str, ...]]] = [
        (People(campaigns, "delivered"), ("sms", "whatsapp")),
        (People(campaigns, "failed", channel="sms"), ("sms",)),
        (
            Combined("or", [People(campaigns[:1]), People(campaigns[1:], channel="whatsapp")]),
            ("sms", "whatsapp"),
        ),
    ]
    for node, channels in nodes:
        held = {
            person_of(one.recipient)
            for one in sent
            if truth.is_held(one) and one.channel in channels
        }
        wanted = numbers_of(truth, node, {}) - held
        rows = members(world.database, truth.account, node).records()
        found = {person_of(row["recipient"]) for row in rows}
        assert not (found ^ wanted) - truth.undetermined_recipients
        whole = count(world.database, truth.account, node, with_suppressed=True)
        size = count(world.database, truth.account, node)
        assert size == (len(rows), whole.people - len(rows))
        left += size.left_out
    assert left
    assert str(Size(1636, 11)) == "1,636 people; 11 suppressed are left out"
    assert str(Size(1)) == "1 person"


def test_the_longest_definitions_can_be_run(world: World) -> None:
    truth = truth_of(world, biggest(world))
    own = truth.campaigns[0]
    long = [own, *(f"{number:0195}" for number in range(99))]
    assert 19_000 < len(write(People(long))) < MAX_BYTES
    assert check(world, truth, People(long))
    with pytest.raises(InvalidQuery, match="write at most"):
        count(world.database, truth.account, Combined("or", [People(long), People(long)]))


# --- definitions ------------------------------------------------------------------------------


def test_definitions_survive_json() -> None:
    people = People(["a", "b"], "clicked", True, ["l1"])
    node = Combined("except", [people, Combined("or", [Saved("x y"), People(["c"])])])
    assert parse(write(node)) == node
    assert parse('{"type": "people", "campaigns": ["a"]}') == People(["a"], "sent", False, [])


PEOPLE = '{"type": "people", "campaigns": ["a"]}'
DEEP = '{"type": "combined", "op": "or", "parts": [' + PEOPLE + ", "


@pytest.mark.parametrize(
    ("text", "field", "fix"),
    [
        ("{", "definition", "write {"),
        ("[]", "definition", "write {"),
        ('{"type": "men"}', "definition.type", "use people, saved or combined"),
        ('{"type": "people"}', "definition", "give a list of 1 to 100 campaign ids"),
        ('{"type": "people", "campaigns": []}', "definition.campaigns", "give a list of 1"),
        (
            '{"type": "people", "campaigns": ["a"], "did": "x"}',
            "definition.did",
            "use sent, delivered",
        ),
        (
            f'{{"type": "combined", "op": "or", "parts": [{PEOPLE}, {{"type": "saved"}}]}}',
            "definition.parts[1]",
            "give the name of a saved segment",
        ),
        (
            f'{{"type": "combined", "op": "xor", "parts": [{PEOPLE}, {PEOPLE}]}}',
            "definition.op",
            "use and, or, except",
        ),
        (f'{{"type": "combined", "op": "or", "parts": [{PEOPLE}]}}', "definition.parts", "give a"),
        ('{"type": "people", "campaigns": ["a"], "and": 1}', "definition", "write {"),
        (DEEP * 10 + PEOPLE + "]}" * 10, "definition", "nest at most 10 deep"),
        (DEEP * 200 + PEOPLE + "]}" * 200, "definition", "nest at most 10 deep"),
        (" " * 60_000, "definition", "write at most 20000"),
    ],
)
def test_mistakes_name_the_field_and_the_fix(text: str, field: str, fix: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        parse(text)
    (issue,) = refused.value.issues
    assert issue.where == field
    assert issue.problem
    assert issue.fix.startswith(fix)


# --- the store --------------------------------------------------------------------------------


@pytest.fixture
def store(worlds: list[World]) -> Iterator[SegmentStore]:
    """The store of the first world, empty again afterwards."""
    made = SegmentStore(worlds[0].url)
    yield made
    for account in ("acme", "other", *worlds[0].accounts):
        for segment in made.list(account):
            made.delete(account, segment.name, NOW)
    made.close()


def test_a_saved_segment_is_listed_changed_and_deleted(store: SegmentStore) -> None:
    one, other = People(["a"]), People(["b"], "clicked", True)
    store.save("acme", "B", one, NOW)
    store.save("acme", "A", one, NOW)
    store.save("acme", "B", other, datetime(2020, 1, 1, tzinfo=UTC))
    found = store.list("acme")
    assert [(segment.name, segment.definition) for segment in found] == [("A", one), ("B", other)]
    assert found[0].updated_at == NOW
    assert store.delete("acme", "B", NOW)
    assert store.get("acme", "B") is None
    assert not store.delete("acme", "B", NOW)
    store.save("acme", "B", one, datetime.now(UTC))
    segment = store.get("acme", "B")
    assert segment is not None and segment.definition == one


def test_saved_segments_use_their_current_definitions(
    store: SegmentStore, worlds: list[World]
) -> None:
    world, account = worlds[0], biggest(worlds[0])
    truth = truth_of(world, account)
    first, second = truth.campaigns[:2]
    saved: dict[str, Node] = {"Readers": People([first], "delivered")}
    saved["Both"] = Combined("and", [Saved("Readers"), People([second])])
    for name, definition in saved.items():
        store.save(account, name, definition, NOW)
    before = check(world, truth, Saved("Both"), saved)
    saved["Readers"] = People([first, second])
    store.save(account, "Readers", saved["Readers"], NOW)
    assert check(world, truth, Saved("Both"), saved) > before
    store.delete(account, "Readers", NOW)
    with pytest.raises(InvalidQuery, match="no segment is saved as 'Readers'"):
        count(world.database, account, Saved("Both"))


def test_segments_cannot_contain_themselves(store: SegmentStore) -> None:
    store.save("acme", "one", People(["a"]), NOW)
    store.save("acme", "two", Combined("or", [Saved("one"), People(["b"])]), NOW)
    with pytest.raises(InvalidQuery, match="one -> two -> one"):
        store.save("acme", "one", Combined("and", [Saved("two"), People(["c"])]), NOW)
    with pytest.raises(InvalidQuery, match="me -> me"):
        store.save("acme", "me", Saved("me"), NOW)
    segment = store.get("acme", "one")
    assert segment is not None and segment.definition == People(["a"])


def test_names_that_multiply_are_refused_at_once(store: SegmentStore) -> None:
    store.save("acme", "s0", Combined("or", [People(["a"]), People(["b"])]), NOW)
    for level in range(1, 5):
        twice = Combined("or", [Saved(f"s{level - 1}"), Saved(f"s{level - 1}")])
        store.save("acme", f"s{level}", twice, NOW)
    many = Combined("or", [Combined("or", [Saved("s4")] * 20)] * 20)
    with pytest.raises(InvalidQuery, match="combine at most"):
        store.save("acme", "s5", many, NOW)


def test_an_account_has_so_many_segments_and_no_more(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.segments.store.MAX_SEGMENTS", 2)
    for name in ("one", "two"):
        store.save("acme", name, People(["a"]), NOW)
    with pytest.raises(InvalidQuery, match="2 segments are saved already"):
        store.save("acme", "three", People(["a"]), NOW)
    store.save("acme", "two", People(["b"]), NOW)
    store.save("other", "three", People(["a"]), NOW)
    store.delete("other", "three", NOW)
    store.delete("acme", "one", NOW)
    store.save("acme", "three", People(["a"]), NOW)
    assert [one.name for one in store.list("acme")] == ["three", "two"]


def test_a_taken_name_is_replaced_only_when_it_may(store: SegmentStore) -> None:
    store.save("acme", "mine", People(["a"]), NOW, replace=False)
    with pytest.raises(InvalidQuery, match="'mine' is taken"):
        store.save("acme", "mine", People(["b"]), NOW, replace=False)
    segment = store.get("acme", "mine")
    assert segment is not None and segment.definition == People(["a"])


def test_of_those_who_take_a_name_at_once_one_gets_it(store: SegmentStore) -> None:
    def take(campaign: str) -> bool:
        try:
            store.save("acme", "wanted", People([campaign]), NOW, replace=False)
        except InvalidQuery:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, "abcdef")) == 1


@pytest.mark.parametrize("name", ["", " x", "x\n", "x" * 81, "\x00", "a\u202eb"])
def test_names_nobody_could_read_are_refused(store: SegmentStore, name: str) -> None:
    with pytest.raises(InvalidQuery, match="printable"):
        store.save("acme", name, People(["a"]), NOW)
