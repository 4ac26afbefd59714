"""One human reason for each failed message, one row a rule."""

from typing import get_args

import pytest

from models.accounts import AccountSettings
from models.codes import PROVIDERS, REASONS
from models.codes.reasons import OTHER, UNEXPLAINED
from models.facts import Outcome
from models.reasons import BY_SCOPE, reason_of
from models.vocabulary import Bounce, Scope, Status


def outcome(code: str = "", words: str = "", scope: str = "") -> Outcome:
    return Outcome(
        1, Status.UNDELIVERED, Bounce.SOFT, 0, scope=scope, error_code=code, reason=words
    )


def settings(**fail_reasons: str) -> AccountSettings:
    named = {code.replace("__", ":").lstrip("_"): words for code, words in fail_reasons.items()}
    return AccountSettings(account="acme", fail_reasons=named)


@pytest.mark.parametrize(
    ("rule", "provider", "outcome_", "own", "reason"),
    [
        ("a code of the provider", "twilio", outcome("30004"), {}, "blocked"),
        ("another one", "infobip", outcome("1"), {}, "unknown subscriber"),
        ("the network's expiry", "telnyx", outcome("40005"), {}, "expired"),
        ("WhatsApp", "whatsapp", outcome("131026"), {}, "not on WhatsApp"),
        ("a partner of it", "360dialog", outcome("131026"), {}, "not on WhatsApp"),
        ("one number: here a handset", "vonage", outcome("2"), {}, "absent or switched off"),
        ("a provider's name in any case", "Twilio", outcome("30005"), {}, "unknown subscriber"),
        ("leading zeros of numbers", "north", outcome("027"), {}, "absent or switched off"),
        ("a provider without a table", "north", outcome("33"), {}, "handset memory full"),
        ("no provider at all", "", outcome("33"), {}, "handset memory full"),
        (
            "a known code goes before words",
            "north",
            outcome("6", "Message 0a1b could not be delivered at 05:00"),
            {},
            "absent or switched off",
        ),
        (
            "also before other known words",
            "twilio",
            outcome("30005", "Validity period expired"),
            {},
            "unknown subscriber",
        ),
        (
            "a phrase of a provider",
            "north",
            outcome("4711", "Validity period expired"),
            {},
            "expired",
        ),
        (
            "the same in another case, with a number in it",
            "north",
            outcome("", "VALIDITY PERIOD EXPIRED (72h)"),
            {},
            "expired",
        ),
        ("our own words", "north", outcome("", "Handset busy"), {}, "handset busy"),
        ("a code as words", "north", outcome("", "EC_ABSENT_SUBSCRIBER"), {}, None),
        ("words nobody knows", "infobip", outcome("4711", "EC_STRANGE"), {}, "other"),
        ("also with a scope", "infobip", outcome("4711", "Odd", "content"), {}, "other"),
        ("no words: the scope", "infobip", outcome("4711", "", "content"), {}, "content refused"),
        ("no code either", "infobip", outcome("", "", "sender"), {}, "sender not allowed"),
        ("nothing at all is known", "infobip", outcome(), {}, "not explained by the provider"),
        (
            "an account overrides an entry for all providers",
            "twilio",
            outcome("30004", "Blocked"),
            {"_30004": "the phone's owner blocked us"},
            "the phone's owner blocked us",
        ),
        (
            "or for one provider, which goes first",
            "twilio",
            outcome("30004"),
            {"_30004": "everywhere", "twilio__30004": "at Twilio"},
            "at Twilio",
        ),
        (
            "another provider's override changes nothing here",
            "twilio",
            outcome("30005"),
            {"vonage__30005": "at Vonage"},
            "unknown subscriber",
        ),
        (
            "an account may explain a code nobody knows",
            "infobip",
            outcome("4711", "EC_STRANGE"),
            {"infobip__4711": "see the manual"},
            "see the manual",
        ),
    ],
)
def test_each_failure_has_one_reason(rule, provider, outcome_, own, reason):
    found = reason_of(outcome_, provider, settings(**own))
    assert found == reason or (reason is None and found in REASONS and found != OTHER)


@pytest.mark.parametrize("scope", ["", *BY_SCOPE])
@pytest.mark.parametrize("provider", ["", "infobip", *PROVIDERS])
@pytest.mark.parametrize("words", ["", "Gateway 7 burped"])
def test_a_reason_is_always_one_of_the_list(provider, scope, words):
    assert reason_of(outcome("no such code", words, scope), provider, settings()) in REASONS


def test_every_scope_of_the_contract_has_a_reason():
    assert set(BY_SCOPE) == set(get_args(Scope))
    assert set(BY_SCOPE.values()) < set(REASONS) - {OTHER, UNEXPLAINED}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_code_of_a_table_decides_the_reason(provider: str):
    for code in PROVIDERS[provider].listed():
        found = reason_of(outcome(code.code, "other words"), provider, settings())
        assert found == code.reason


def test_an_override_names_its_provider_in_any_case():
    own = AccountSettings(account="acme", fail_reasons={"Twilio:30004": "the owner blocked us"})
    assert reason_of(outcome("30004"), "Twilio", own) == "the owner blocked us"


def test_an_accounts_meaning_of_a_code_has_words_too():
    own = AccountSettings(account="acme", codes={"Twilio:30004": {"reason": "blocked us"}})
    assert reason_of(outcome("30004"), "twilio", own) == "blocked us"
