"""The laws of a number's facts (docs/design.md): order, duplicates and grouping do not matter."""

from collections.abc import Callable, Iterable

from hypothesis import given
from hypothesis import strategies as st

from models.accounts import MAX_STRIKE_LIMIT, AccountSettings
from models.suppression import REASONS, decode, encode, join_encoded, published, status_of
from models.suppression_facts import (
    MAX_STRIKES,
    ChannelFacts,
    Facts,
    ManualDecision,
    StrikeFact,
    add_delivery,
    add_release,
    add_resubscribe,
    add_strike,
    add_suppress,
    add_unsubscribe,
    facts_in_force,
    joined,
)
from models.time import DAY_MS
from models.vocabulary import CHANNELS
from tests.properties.events import NOON_MS

INSTANTS = st.integers(0, 12).map(lambda days: NOON_MS + days * DAY_MS)
DECISIONS = st.builds(
    ManualDecision, INSTANTS, st.sampled_from(["", "eva", "adam"]), st.sampled_from(["", "x"])
)

Step = tuple[Callable[[ChannelFacts, object], bool], object, str]
#: "": a fact about all channels, such as a strike from before strikes had one.
CHANNEL = st.sampled_from(["", "", "sms", "whatsapp"])


@st.composite
def strikes(draw: st.DrawFn, messages: int = 5) -> StrikeFact:
    """A version of a message says one thing only, so all else follows from message and version."""
    message, version = draw(st.integers(1, messages)), draw(st.integers(1, 4))
    return StrikeFact(
        NOON_MS + (message * 7 % 11) * DAY_MS,
        f"m{message}",
        version,
        struck=version % 2 == 1,
        occurred_at=NOON_MS + (message + version) * DAY_MS,
        code=str(version),
    )


heard: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just(add_strike), strikes(), CHANNEL),
        st.tuples(st.just(add_strike), strikes(), CHANNEL),
        st.tuples(
            st.sampled_from([add_unsubscribe, add_resubscribe, add_delivery]), INSTANTS, CHANNEL
        ),
        st.tuples(st.sampled_from([add_suppress, add_release]), DECISIONS, CHANNEL),
    ),
    max_size=14,
)
of_many_messages: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.just(add_strike), strikes(3 * MAX_STRIKES), st.just("sms")),
    min_size=MAX_STRIKES,
    max_size=3 * MAX_STRIKES,
)
settings_of_accounts = st.builds(
    AccountSettings,
    account=st.just("acme"),
    suppress_hard_bounces=st.booleans(),
    strike_limit=st.integers(1, MAX_STRIKE_LIMIT),
    strikes_reset_on_delivery=st.booleans(),
    suppression_days=st.one_of(st.none(), st.integers(1, 5)),
    unsubscribe_binds=st.sampled_from(["marketing", "all"]),
)
few_strikes_suffice = st.builds(
    AccountSettings,
    account=st.just("acme"),
    suppress_hard_bounces=st.booleans(),
    strike_limit=st.integers(1, 3),
    strikes_reset_on_delivery=st.booleans(),
    suppression_days=st.one_of(st.none(), st.integers(1, 5)),
    unsubscribe_binds=st.sampled_from(["marketing", "all"]),
)


def facts_of(steps: Iterable[Step]) -> Facts:
    facts = Facts()
    for add, what, channel in steps:
        add(facts.of(channel), what)
    return facts


def stored(facts: Facts, version: int = 0) -> bytes:
    status = status_of(facts, AccountSettings(account="acme"), NOON_MS)
    return encode(published("acme", "+447911123456", facts, status, version))


@given(heard, st.randoms(use_true_random=False), st.integers(0, 5))
def test_any_order_with_any_duplicates_ends_in_the_same_facts(steps, random, extra):
    shuffled = steps + [random.choice(steps) for _ in range(extra if steps else 0)]
    random.shuffle(shuffled)
    assert facts_of(shuffled) == facts_of(steps)


@given(heard, st.data())
def test_any_grouping_joined_ends_in_the_same_facts(steps, data):
    groups: list[list[Step]] = [[], [], []]
    for each in steps:
        groups[data.draw(st.integers(0, 2))].append(each)
    one, two, three = (facts_of(group) for group in groups)
    assert joined(joined(one, two), three) == facts_of(steps)
    assert joined(one, joined(two, three)) == facts_of(steps)
    assert joined(three, joined(one, two)) == facts_of(steps)


@given(heard)
def test_facts_joined_with_themselves_or_with_nothing_stay_and_are_not_shared(steps):
    facts = facts_of(steps)
    before = stored(facts)
    assert joined(facts, facts) == facts
    assert joined(Facts(), facts) == facts
    whole = joined(facts, Facts())
    assert whole == facts
    add_strike(whole, StrikeFact(NOON_MS, "another", 1, True, NOON_MS))
    assert stored(facts) == before


@given(heard)
def test_a_fact_seen_before_changes_nothing_and_reports_no_change(steps):
    facts = facts_of(steps)
    before = stored(facts)
    assert not any([add(facts.of(channel), what) for add, what, channel in steps])
    assert stored(facts) == before


@given(st.one_of(heard, of_many_messages))
def test_a_change_is_reported_whenever_the_facts_move(steps):
    facts = Facts()
    for add, what, channel in steps:
        before = stored(facts)
        assert add(facts.of(channel), what) == (stored(facts) != before)


@given(heard)
def test_facts_survive_being_stored(steps):
    facts = facts_of(steps)
    assert decode(stored(facts)).facts == facts


@given(heard, heard)
def test_records_of_different_owners_are_joined_and_the_higher_version_is_kept(ours, theirs):
    one, other = facts_of(ours), facts_of(theirs)
    earlier, later = stored(one, (1 << 32) + 7), stored(other, (2 << 32) + 1)
    whole = decode(join_encoded(earlier, later))
    assert whole == decode(join_encoded(later, earlier))
    assert whole.version == (2 << 32) + 1
    assert whole.facts == facts_of(ours + theirs)


@given(heard)
def test_of_one_owner_the_later_record_wins(steps):
    early, late = stored(Facts(), (5 << 32) + 1), stored(facts_of(steps), (5 << 32) + 2)
    assert join_encoded(early, late) == join_encoded(late, early) == late


@given(of_many_messages, st.randoms(use_true_random=False), st.integers(0, 4 * MAX_STRIKES))
def test_memory_is_bounded_and_forgetting_obeys_the_join(steps, random, cut):
    facts = facts_of(steps)
    assert len(facts.channels["sms"].strikes) <= MAX_STRIKES
    shuffled = list(steps)
    random.shuffle(shuffled)
    assert facts_of(shuffled) == facts
    assert joined(facts_of(shuffled[:cut]), facts_of(shuffled[cut:])) == facts
    assert joined(facts_of(shuffled[cut:]), facts) == facts


@given(of_many_messages, settings_of_accounts)
def test_where_nothing_is_withdrawn_forgetting_suppresses_and_frees_nobody(steps, own):
    """Against the same rules with all messages remembered."""
    all_struck = {
        what.place: what for _, what, _ in steps if isinstance(what, StrikeFact) and what.struck
    }
    own = own.model_copy(update={"suppression_days": None})
    facts = facts_of((add_strike, what, "sms") for what in all_struck.values())
    suppressed = own.suppress_hard_bounces and len(all_struck) >= own.strike_limit
    assert status_of(facts, own, NOON_MS).suppressed == suppressed


@given(heard, few_strikes_suffice, INSTANTS)
def test_a_status_agrees_with_itself(steps, own, now):
    facts = facts_of(steps)
    status = status_of(facts, own, now)
    assert status.suppressed == bool(status.reasons) == bool(status.since)
    assert not status.until or status.until > now
    assert status.reasons == tuple(
        reason for reason in REASONS if any(reason in each.reasons for each in status.channels)
    )
    for each in status.channels:
        assert each.suppressed == bool(each.reasons) == bool(each.since) == bool(each.binds)
        assert not each.until or (each.reasons == ("hard_bounces",) and each.until > now)
        assert not each.since_for_all or each.since_for_all >= each.since
        assert (each.binds == "marketing") == (
            each.reasons == ("unsubscribed",) and own.unsubscribe_binds == "marketing"
        )
        if "hard_bounces" in each.reasons:
            assert own.suppress_hard_bounces
            assert each.strikes >= own.strike_limit
        elif own.suppress_hard_bounces:
            assert each.strikes < own.strike_limit


@given(heard, few_strikes_suffice, INSTANTS, st.data())
def test_a_release_after_all_leaves_only_an_unsubscribe_in_force(steps, own, now, data):
    facts = facts_of(steps)
    for channel in ("", *data.draw(st.sets(CHANNEL))):
        add_release(facts.of(channel), ManualDecision(NOON_MS + 99 * DAY_MS, "eva"))
    status = status_of(facts, own, now)
    assert status.strikes == 0
    assert set(status.reasons) <= {"unsubscribed"}


@given(heard, few_strikes_suffice, INSTANTS)
def test_a_suppression_ends_at_its_published_time_and_not_before(steps, own, now):
    facts = facts_of(steps)
    status = status_of(facts, own, now)
    if status.until:
        assert status_of(facts, own, status.until - 1).suppressed
        assert not status_of(facts, own, status.until).suppressed
    if status.lapses_at:
        assert status_of(facts, own, status.lapses_at - 1) == status
        assert status_of(facts, own, status.lapses_at) != status


@given(heard, few_strikes_suffice, INSTANTS)
def test_a_channel_is_decided_by_its_own_facts_and_those_of_all_channels(steps, own, now):
    with_channel = [
        (add, what, channel or "sms") if add is add_strike else (add, what, channel)
        for add, what, channel in steps
    ]
    status = status_of(facts_of(with_channel), own, now)
    for place, name in enumerate(CHANNELS):
        alone = facts_of(each for each in with_channel if each[2] in ("", name))
        assert status_of(alone, own, now).channels[place] == status.channels[place]


@given(heard)
def test_a_strike_without_a_channel_counts_until_a_later_version_has_one(steps):
    facts = facts_of(steps)
    known = [(what, channel) for add, what, channel in steps if add is add_strike]
    for name in CHANNELS:
        for strike in facts_in_force(facts, name).strikes:
            same = [(what, channel) for what, channel in known if what.place == strike.place]
            own = [what.version for what, channel in same if channel == name]
            with_channel = [what.version for what, channel in same if channel]
            without = [what.version for what, channel in same if not channel]
            if strike.version in without and strike.version not in own:
                assert strike.version == max(without) > max(with_channel, default=0)
            else:
                assert strike.version == max(own)


@given(heard)
def test_judging_changes_no_facts(steps):
    facts = facts_of(steps)
    before = stored(facts)
    status_of(facts, AccountSettings(account="acme", strikes_reset_on_delivery=True), NOON_MS)
    assert stored(facts) == before
