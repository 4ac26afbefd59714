"""What an account decides for itself, one readable row a rule."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from models.accounts import MAX_STRIKE_LIMIT, Accounts, AccountSettings, parse_account
from models.contract import MAX_EVENT_BYTES
from models.refusal import Reason, Refusal


def settings(**fields: Any) -> AccountSettings:
    return AccountSettings(account="acme", **fields)


def parsed(**fields: Any) -> AccountSettings | Refusal:
    return parse_account(json.dumps({"account": "acme", **fields}).encode())


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("suppress_hard_bounces", True),
        ("strike_limit", 3),
        ("strikes_reset_on_delivery", False),
        ("suppression_days", None),
        ("retry_soft_bounces", True),
        ("retry_every_s", 3_600),
        ("retry_for_s", 48 * 3_600),
        ("validity_s", 72 * 3_600),
        ("time_zone", "UTC"),
        ("text_days", None),
        ("recipient_days", None),
        ("fail_reasons", {}),
        ("codes", {}),
        ("unsubscribe_binds", "marketing"),
    ],
)
def test_a_missing_account_and_one_that_names_nothing_have_the_defaults(field, default):
    assert getattr(Accounts().of("acme"), field) == default
    assert getattr(parsed(), field) == default


def test_all_settings_are_read():
    given = {
        "updated_at": "2026-11-20T12:00:00Z",
        "suppress_hard_bounces": False,
        "strike_limit": 5,
        "strikes_reset_on_delivery": True,
        "suppression_days": 90,
        "retry_soft_bounces": False,
        "retry_every_s": 1_800,
        "retry_for_s": 86_400,
        "validity_s": 3_600,
        "time_zone": "Europe/Stockholm",
        "text_days": 30,
        "recipient_days": 365,
        "fail_reasons": {"infobip:27": "phone is off", "5": "no such number"},
        "codes": {
            "twilio:30003": {"bounce": "hard", "scope": "recipient", "reason": "gone"},
            "5": {"bounce": "soft", "scope": None, "reason": None},
        },
        "unsubscribe_binds": "all",
    }
    found = parsed(**given)
    assert isinstance(found, AccountSettings)
    assert found.model_dump() == {
        "account": "acme",
        **given,
        "updated_at": 1_795_176_000_000,
    }


@pytest.mark.parametrize(
    ("rule", "fields", "reason", "named"),
    [
        ("a limit is at least one", {"strike_limit": 0}, Reason.BAD_VALUE, "strike_limit"),
        (
            "and no more than is remembered",
            {"strike_limit": MAX_STRIKE_LIMIT + 1},
            Reason.BAD_VALUE,
            "strike_limit",
        ),
        ("numbers are numbers", {"strike_limit": "3"}, Reason.WRONG_TYPE, "strike_limit"),
        (
            "switches are true or false",
            {"suppress_hard_bounces": "no"},
            Reason.WRONG_TYPE,
            "suppress_hard_bounces",
        ),
        ("days are whole", {"suppression_days": 1.5}, Reason.WRONG_TYPE, "suppression_days"),
        ("no days is null, not 0", {"suppression_days": 0}, Reason.BAD_VALUE, "suppression_days"),
        ("a retry a minute at most", {"retry_every_s": 59}, Reason.BAD_VALUE, "retry_every_s"),
        ("no retries before the send", {"retry_for_s": -1}, Reason.BAD_VALUE, "retry_for_s"),
        ("retries for a week at most", {"retry_for_s": 604_801}, Reason.BAD_VALUE, "retry_for_s"),
        ("valid for a week at most", {"validity_s": 604_801}, Reason.BAD_VALUE, "validity_s"),
        ("zones are of the IANA database", {"time_zone": "CEST"}, Reason.BAD_VALUE, "time_zone"),
        ("a zone has a name", {"time_zone": ""}, Reason.BAD_VALUE, "time_zone"),
        ("a folder is no zone", {"time_zone": "Europe"}, Reason.BAD_VALUE, "time_zone"),
        ("a path is no zone", {"time_zone": "/etc/passwd"}, Reason.BAD_VALUE, "time_zone"),
        ("a zone is no essay", {"time_zone": "x" * 5_000}, Reason.BAD_VALUE, "time_zone"),
        ("an account is named", {"account": ""}, Reason.BAD_VALUE, "account"),
        ("no slash in an account", {"account": "a/b"}, Reason.BAD_VALUE, "account"),
        ("reasons are words", {"fail_reasons": {"5": 5}}, Reason.WRONG_TYPE, "fail_reasons"),
        ("codes are not empty", {"fail_reasons": {"": "x"}}, Reason.BAD_VALUE, "fail_reasons"),
        ("times have a zone", {"updated_at": "2026-11-20"}, Reason.BAD_TIME, "updated_at"),
        ("what is bound", {"unsubscribe_binds": "some"}, Reason.BAD_VALUE, "unsubscribe_binds"),
    ],
)
def test_wrong_settings_are_refused_with_the_name_of_the_field(rule, fields, reason, named):
    refused = parsed(**fields)
    assert isinstance(refused, Refusal), rule
    assert refused.reason is reason
    assert refused.detail.startswith(f"{named}: ")


@pytest.mark.parametrize(
    ("codes", "reason", "detail"),
    [
        (
            {"5": {}, "twilio:30003": {"bounce": "firm"}},
            Reason.BAD_VALUE,
            "codes: 'twilio:30003': bounce: Input should be 'soft' or 'hard'",
        ),
        (
            {"5": {"scope": "moon"}},
            Reason.BAD_VALUE,
            "codes: '5': scope: Input should be 'recip",
        ),
        ({"5": {"bounc": "soft"}}, Reason.BAD_VALUE, "codes: '5': bounc: Extra inputs are not"),
        (
            {"5": {"reason": 7}},
            Reason.WRONG_TYPE,
            "codes: '5': reason: Input should be a valid",
        ),
        ({"5{}": "soft"}, Reason.WRONG_TYPE, "codes: '5{}': Input should be a valid dictionary or"),
        ({"": {}}, Reason.BAD_VALUE, "codes: '': String should have at least 1 character"),
        (["5"], Reason.WRONG_TYPE, "codes: Input should be a valid dictionary"),
        (
            {"Meta:131026": {}, "whatsapp:0131026": {}},
            Reason.BAD_VALUE,
            "codes: 'whatsapp:0131026' and 'Meta:131026' are the same code",
        ),
    ],
)
def test_a_mistake_in_a_code_names_the_code_and_its_field(codes, reason, detail):
    refused = parsed(codes=codes)
    assert isinstance(refused, Refusal)
    assert refused.reason is reason
    assert refused.detail.startswith(detail), refused.detail


@pytest.mark.parametrize(
    ("given", "provider", "code"),
    [
        ("twilio:30003", "Twilio", "30003"),
        ("TWILIO:030003", "twilio", "30003"),
        ("meta:131026", "360dialog", "131026"),
        ("Amazon SNS:TEXT_BLOCKED", "aws", "text_blocked"),
        ("infobip:EC_ABSENT_SUBSCRIBER", "infobip", "27"),
        ("North Star:E:7", "north_star", "e:7"),
        ("north:27", "north", "027"),
        ("027", "any", "27"),
        ("27", "any", "027"),
        ("Text_Blocked", "aws", "TEXT_BLOCKED"),
    ],
)
def test_a_code_is_found_in_every_spelling(given, provider, code):
    own = settings(codes={given: {"bounce": "hard"}, "77": {"bounce": "soft"}})
    meaning = own.meaning_of(provider, code)
    assert meaning is not None and meaning.bounce == "hard"


def test_a_code_of_the_provider_precedes_the_code_alone():
    own = settings(codes={"27": {"reason": "all"}, "north:27": {"reason": "of north"}})
    assert own.meaning_of("north", "27").reason == "of north"
    assert own.meaning_of("south", "27").reason == "all"
    assert own.meaning_of("south", "28") is None
    assert settings().meaning_of("south", "27") is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"{", Reason.NOT_JSON),
        (b"[]", Reason.NOT_OBJECT),
        (b"{}", Reason.MISSING_FIELD),
        (b" " * (MAX_EVENT_BYTES + 1), Reason.OVERSIZED),
    ],
)
def test_what_is_no_account_at_all_is_refused(value, reason):
    refused = parse_account(value)
    assert isinstance(refused, Refusal)
    assert refused.reason is reason


def test_fields_of_a_newer_version_are_ignored():
    assert isinstance(parsed(shoe_size=42), AccountSettings)


def test_settings_never_change_once_read():
    with pytest.raises(ValidationError):
        settings().strike_limit = 1  # type: ignore[misc]


def test_the_newest_record_wins_whole_and_returns_the_one_before():
    accounts = Accounts()
    first, second = settings(strike_limit=5), settings(retry_soft_bounces=False)
    assert accounts.publish(first) == AccountSettings(account="acme")
    assert accounts.publish(second) == first
    assert accounts.of("acme") == second
    assert accounts.of("acme").strike_limit == 3


def test_accounts_do_not_see_each_other():
    accounts = Accounts()
    accounts.publish(settings(strike_limit=5))
    assert accounts.of("other") == AccountSettings(account="other")


def test_a_tombstone_restores_the_defaults_also_of_an_unknown_account():
    accounts = Accounts()
    accounts.publish(settings(strike_limit=5))
    accounts.withdraw("acme")
    accounts.withdraw("other")
    assert accounts.of("acme") == AccountSettings(account="acme")


def test_accounts_without_settings_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("models.accounts.MAX_DEFAULTS", 3)
    accounts = Accounts()
    accounts.publish(AccountSettings(account="acme", strike_limit=9))
    for number in range(10):
        assert accounts.of(f"a{number}").strike_limit == 3
    assert len(accounts._defaults) <= 3
    assert accounts.of("acme").strike_limit == 9
