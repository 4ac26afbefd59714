"""Records of 0.1.0, from before suppressions and strikes had a channel, are about all channels."""

import json

import pytest

from models.accounts import AccountSettings
from models.strikes import Strike, parse_strike
from models.suppression import (
    channels_of,
    decode_checked,
    encode,
    join_encoded,
    keep_unknown,
    published,
    split_strikes,
    status_of,
)
from models.suppression_facts import StrikeFact, add_strike, add_unsubscribe, facts_in_force
from models.vocabulary import CHANNELS

T0 = 1_795_132_800_000
HOUR = 3_600_000

#: Values that 0.1.0 wrote.
STRUCK = (
    b'{"account":"acme","recipient":"+46701234567","suppressed":true,"reasons":["hard_bounces"],'
    b'"since":1795140001000,"until":0,"strikes":3,"version":12884901897,"facts":{"strikes":['
    b'{"sent_at":1795132800000,"message_id":"m0","version":12884901888,"struck":true,'
    b'"occurred_at":1795132801000,"code":"1"},'
    b'{"sent_at":1795136400000,"message_id":"m1","version":12884901889,"struck":true,'
    b'"occurred_at":1795136401000,"code":"1"},'
    b'{"sent_at":1795140000000,"message_id":"m2","version":12884901890,"struck":true,'
    b'"occurred_at":1795140001000,"code":"1"}],"unsubscribed_at":0,"resubscribed_at":0,'
    b'"suppressed_by_hand":{"at":0,"who":"","why":""},"released":{"at":0,"who":"","why":""},'
    b'"delivered_at":0}}'
)
LEFT = (
    b'{"account":"acme","recipient":"+46701234567","suppressed":true,"reasons":["unsubscribed"],'
    b'"since":1795132800000,"until":0,"strikes":0,"version":12884901897,"facts":{"strikes":[],'
    b'"unsubscribed_at":1795132800000,"resubscribed_at":0,'
    b'"suppressed_by_hand":{"at":0,"who":"","why":""},"released":{"at":0,"who":"","why":""},'
    b'"delivered_at":0}}'
)
STRIKE = (
    b'{"kind":"struck","account":"acme","recipient":"+46701234567","message_id":"m0",'
    b'"sent_at":1795132800000,"version":12884901889,"occurred_at":1795132801000,"code":"1"}'
)
OWN = AccountSettings(account="acme")


@pytest.mark.parametrize(("value", "for_all"), [(STRUCK, T0 + 2 * HOUR + 1000), (LEFT, 0)])
def test_an_old_record_is_about_each_channel(value: bytes, for_all: int) -> None:
    record = decode_checked(value)
    assert [each.channel for each in channels_of(record)] == list(CHANNELS)
    for each in channels_of(record):
        assert (each.suppressed, each.reasons) == (True, record.reasons)
        assert (each.since, each.since_for_all) == (record.since, for_all)
        assert each.binds == ("all" if for_all else "marketing")
    decided = status_of(record.facts, OWN, T0 + 9 * HOUR)
    assert decided.channels == channels_of(record)
    assert keep_unknown(decided, record) == decided


def test_an_old_strike_is_about_all_channels() -> None:
    strike = parse_strike(STRIKE)
    assert isinstance(strike, Strike)
    assert (strike.channel, strike.key) == ("", b"acme/+46701234567")


def test_a_withdrawal_after_the_upgrade_frees_every_channel() -> None:
    facts = decode_checked(STRUCK).facts
    assert add_strike(facts.of("sms"), StrikeFact(T0, "m0", 4 << 32, False, 0))
    status = status_of(facts, OWN, T0 + 9 * HOUR)
    assert {each.channel: each.strikes for each in status.channels} == {"sms": 2, "whatsapp": 2}
    assert not status.suppressed


def test_a_strike_that_changes_after_the_upgrade_counts_on_its_channel_alone() -> None:
    facts = decode_checked(STRUCK).facts
    add_strike(facts.of("sms"), StrikeFact(T0, "m0", 4 << 32, True, T0 + 5, "2"))
    status = status_of(facts, OWN, T0 + 9 * HOUR)
    assert {each.channel: each.strikes for each in status.channels} == {"sms": 3, "whatsapp": 2}


def test_a_replay_of_an_old_strike_brings_no_withdrawn_one_back() -> None:
    facts = decode_checked(STRUCK).facts
    add_strike(facts.of("sms"), StrikeFact(T0, "m0", 4 << 32, False, 0))
    add_strike(facts, StrikeFact(T0, "m0", 3 << 32, True, T0 + 1000, "1"))
    assert {each.strikes for each in status_of(facts, OWN, T0).channels} == {2}


def test_a_later_version_without_a_channel_is_about_all_of_them() -> None:
    """A worker of 0.1.0 wrote it after one of this version: during a rolling upgrade."""
    facts = decode_checked(STRUCK).facts
    add_strike(facts.of("sms"), StrikeFact(T0, "m0", 4 << 32, True, T0 + 5))
    add_strike(facts, StrikeFact(T0, "m0", 5 << 32, False, 0))
    for channel in CHANNELS:
        (same,) = [each for each in facts_in_force(facts, channel).strikes if each.sent_at == T0]
        assert (same.version, same.struck) == (5 << 32, False)


def test_the_strikes_behind_an_old_record_are_shown_for_each_channel() -> None:
    record = decode_checked(STRUCK)
    for each in channels_of(record):
        counted, others = split_strikes(record, each)
        assert ([strike.message_id for strike in counted], others) == (["m0", "m1", "m2"], [])


def test_old_and_new_records_of_one_recipient_are_joined() -> None:
    new = decode_checked(LEFT)
    new.version = 4 << 32
    new.facts.unsubscribed_at = 0
    add_unsubscribe(new.facts.of("whatsapp"), T0 + HOUR)
    whole = decode_checked(join_encoded(LEFT, encode(new)))
    assert whole == decode_checked(join_encoded(encode(new), LEFT))
    assert whole.facts.unsubscribed_at == T0
    assert whole.facts.channels["whatsapp"].unsubscribed_at == T0 + HOUR


def test_readers_that_know_no_channels_see_whether_any_is_suppressed() -> None:
    facts = decode_checked(STRUCK).facts
    add_unsubscribe(facts.of("whatsapp"), T0)
    status = status_of(facts, OWN, T0 + 9 * HOUR)
    fields = json.loads(encode(published("acme", "+46701234567", facts, status, 1)))
    assert (fields["suppressed"], fields["strikes"]) == (True, 3)
    assert fields["reasons"] == ["hard_bounces", "unsubscribed"]
    assert fields["since"] == T0
    by_channel = {each["channel"]: each["reasons"] for each in fields["channels"]}
    assert by_channel == {"sms": ["hard_bounces"], "whatsapp": ["hard_bounces", "unsubscribed"]}
