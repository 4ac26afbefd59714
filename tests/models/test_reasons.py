"""One human reason for each failed message, one row a rule."""

from typing import get_args

import pytest

from models.accounts import AccountSettings
from models.facts import Outcome
from models.reasons import BY_PROVIDER, BY_SCOPE, GSM, UNEXPLAINED, reason_of
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
        ("unknown subscriber", "infobip", outcome("1"), {}, "unknown subscriber"),
        ("absent or switched off", "infobip", outcome("27"), {}, "absent or switched off"),
        ("blocked", "twilio", outcome("30004"), {}, "blocked"),
        ("content refused", "twilio", outcome("30007"), {}, "content refused"),
        ("no credit", "vonage", outcome("15"), {}, "no credit"),
        ("expired, as the network says it", "telnyx", outcome("40005"), {}, "expired"),
        (
            "whatsapp has codes as well",
            "whatsapp",
            outcome("131047"),
            {},
            "outside the allowed time",
        ),
        (
            "one number, two providers: here a handset",
            "vonage",
            outcome("2"),
            {},
            "absent or switched off",
        ),
        ("there a subscriber", "infobip", outcome("2"), {}, "unknown subscriber"),
        ("a provider's name in any case", "Twilio", outcome("30004"), {}, "blocked"),
        ("GSM values with leading zeros", "infobip", outcome("027"), {}, "absent or switched off"),
        (
            "a provider nobody named has the GSM values",
            "",
            outcome("33"),
            {},
            "handset memory full",
        ),
        (
            "our table goes before the provider's words",
            "twilio",
            outcome("30005", "Unknown destination handset"),
            {},
            "unknown subscriber",
        ),
        (
            "a provider without a table is believed its own words before the GSM values",
            "infobip",
            outcome("1", "EC_UNKNOWN_SUBSCRIBER"),
            {},
            "EC_UNKNOWN_SUBSCRIBER",
        ),
        (
            "an unknown code keeps the provider's words",
            "infobip",
            outcome("4711", "EC_STRANGE"),
            {},
            "EC_STRANGE",
        ),
        (
            "also where the provider has a table of its own",
            "twilio",
            outcome("27", "Something else"),
            {},
            "Something else",
        ),
        ("words without a code stay", "infobip", outcome("", "No luck"), {}, "No luck"),
        ("zeros alone are no GSM value", "infobip", outcome("000", "None"), {}, "None"),
        (
            "an unknown code without words has the reason of its scope",
            "infobip",
            outcome("4711", "", "content"),
            {},
            "content refused",
        ),
        (
            "no code, no words: the scope",
            "infobip",
            outcome("", "", "sender"),
            {},
            "sender not allowed",
        ),
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
            "another provider's override says nothing here",
            "twilio",
            outcome("30004"),
            {"vonage__30004": "at Vonage"},
            "blocked",
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
    assert reason_of(outcome_, provider, settings(**own)) == reason


@pytest.mark.parametrize("scope", ["", *BY_SCOPE])
@pytest.mark.parametrize("provider", ["", "infobip", *BY_PROVIDER])
def test_a_reason_is_never_empty(provider, scope):
    assert reason_of(outcome("no such code", "", scope), provider, settings())


def test_every_scope_of_the_contract_has_a_reason():
    assert set(BY_SCOPE) == set(get_args(Scope))
    assert UNEXPLAINED not in BY_SCOPE.values()


@pytest.mark.parametrize(
    ("provider", "table"), [("infobip", GSM), *BY_PROVIDER.items()], ids=lambda item: str(item)[:9]
)
def test_every_entry_of_a_table_is_found(provider: str, table: dict[str, str]):
    for code, words in table.items():
        assert words.strip()
        outcome_ = "" if table is GSM else "other words"
        assert reason_of(outcome(code, outcome_), provider, settings()) == words
    assert provider == provider.lower()  # else nobody would find it


def test_an_override_names_its_provider_in_any_case():
    own = AccountSettings(account="acme", fail_reasons={"Twilio:30004": "the owner blocked us"})
    assert reason_of(outcome("30004"), "Twilio", own) == "the owner blocked us"
