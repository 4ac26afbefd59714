"""Tables of provider codes: what they hold, how they are found, and what is refused."""

import json
from pathlib import Path
from typing import get_args

import pytest

from models.codes import (
    PHRASES,
    PROVIDERS,
    REASONS,
    STATUSES,
    BadCodeTable,
    code_of,
    reason_of_phrase,
    status_of_word,
    table_of,
)
from models.codes.reasons import OTHER
from models.codes.tables import (
    STATUS_WORDS,
    Code,
    folded,
    read_phrases,
    read_statuses,
    read_tables,
)
from models.vocabulary import BounceWord, Scope

SAMPLES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data/failed_receipts.jsonl").read_text().splitlines()
]
#: Codes of samples that no table has: their receipts' status words decide.
UNKNOWN = {("smpp", "123"), ("smpp", "00B"), ("vonage", "0")}


def found(provider: str, code: str) -> Code:
    meaning = code_of(provider, code)
    assert meaning is not None, (provider, code)
    return meaning


def test_every_word_of_every_table_is_known() -> None:
    for table in PROVIDERS.values():
        assert table.source
        for code in table.listed():
            assert code.bounce in get_args(BounceWord), code
            assert code.scope in {"", *get_args(Scope)}, code
            assert code.reason in REASONS and code.reason != OTHER, code
            assert code.words, code


def test_every_reason_but_other_is_used_by_a_code() -> None:
    used = {code.reason for table in PROVIDERS.values() for code in table.listed()}
    assert used == set(REASONS) - {OTHER}


def test_an_opt_out_or_a_block_is_hard_and_says_so() -> None:
    codes = [code for table in PROVIDERS.values() for code in table.listed()]
    for code in codes:
        assert code.opt_out == (code.reason == "opted out"), code
        assert code.blocked or code.reason != "blocked by the recipient", code
        if code.opt_out:
            assert (code.bounce, code.scope) == ("hard", "recipient"), code


def test_only_reasons_of_the_recipient_are_hard_for_the_recipient() -> None:
    recipient = {
        "unknown subscriber",
        "barred or not able to receive",
        "not on WhatsApp",
        "opted out",
        "blocked by the recipient",
        "blocked",
    }
    hard = {
        code.reason
        for table in PROVIDERS.values()
        for code in table.listed()
        if (code.bounce, code.scope) == ("hard", "recipient")
    }
    assert hard == recipient


def test_limits_are_soft_unless_the_provider_says_that_a_retry_fails() -> None:
    hard = {
        code.provider
        for table in PROVIDERS.values()
        for code in table.listed()
        if code.reason == "too many messages" and code.bounce == "hard"
    }
    assert hard == {"infobip"}  # `permanent` is Infobip's own word


def test_providers_and_aliases_are_unique() -> None:
    names = [name for table in PROVIDERS.values() for name in (table.provider, *table.aliases)]
    assert len(names) == len(set(names))
    for table in PROVIDERS.values():
        assert all(table_of(name) is table for name in (table.provider, *table.aliases))


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_code_is_found_by_number_name_and_any_spelling(provider: str) -> None:
    for code in PROVIDERS[provider].listed():
        assert code_of(provider, code.code) is code
        assert code_of(provider.upper(), f" {code.code.upper()} ") is code
        assert not code.name or code_of(provider, code.name.lower()) is code


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["sample"])
def test_tables_agree_with_the_samples(sample: dict[str, object]) -> None:
    provider, error_code = str(sample["provider"]), str(sample["error_code"])
    if (provider, error_code) in UNKNOWN:
        assert code_of(provider, error_code) is None
        return
    code = found(provider, error_code)
    assert code.bounce == sample["bounce"]
    contested = sample["contested"]
    assert isinstance(contested, list)
    assert code.scope == sample["scope"] or "scope" in contested


@pytest.mark.parametrize(
    ("provider", "code", "bounce", "scope", "reason"),
    [
        ("twilio", "30003", "soft", "recipient", "absent or switched off"),
        ("twilio", "30005", "hard", "recipient", "unknown subscriber"),
        ("twilio", "30006", "hard", "recipient", "barred or not able to receive"),
        ("twilio", "30007", "hard", "content", "content refused"),
        ("twilio", "63016", "hard", "time", "outside the allowed time"),
        ("twilio", "63032", "hard", "policy", "blocked"),
        ("vonage", "1000", "soft", "account", "too many messages"),
        ("vonage", "14", "hard", "", "blocked"),
        ("vonage", "15", "soft", "recipient", "recipient out of credit"),
        ("whatsapp", "131026", "hard", "recipient", "not on WhatsApp"),
        ("whatsapp", "131047", "hard", "time", "outside the allowed time"),
        ("whatsapp", "131049", "soft", "policy", "too many messages"),
        ("infobip", "4101", "hard", "time", "expired"),  # permanent, and nobody's number
        ("infobip", "EC_VALIDITY_EXPIRED", "hard", "time", "expired"),
        ("infobip", "4202", "hard", "account", "too many messages"),
        ("infobip", "628", "hard", "", "absent or switched off"),
        ("infobip", "8", "soft", "recipient", "barred or not able to receive"),  # the error
        ("infobip", "REJECTED_PREFIX_MISSING", "hard", "recipient", "unknown subscriber"),
        ("infobip", "5", "soft", "recipient", "unknown subscriber"),
        ("aws", "TEXT_CARRIER_UNREACHABLE", "soft", "network", "network error"),
        ("aws", "Invalid phone number", "hard", "recipient", "unknown subscriber"),
        ("kannel", "34", "soft", "time", "expired"),
        ("mmg", "8", "soft", "", "not explained by the provider"),  # two meanings
        ("twilio-smpp", "001", "soft", "recipient", "absent or switched off"),
        ("jasmin", "001", "hard", "recipient", "unknown subscriber"),
        ("jasmin", "UNDELIV", "soft", "", "not explained by the provider"),
        ("bandwidth", "rejected-forbidden-country", "hard", "route", "no route to the network"),
        ("bandwidth", "4702", "soft", "recipient", "absent or switched off"),
        ("telnyx", "40003", "hard", "sender", "sender not allowed"),
    ],
)
def test_sharp_edges(provider: str, code: str, bounce: str, scope: str, reason: str) -> None:
    meaning = found(provider, code)
    assert (meaning.bounce, meaning.scope, meaning.reason) == (bounce, scope, reason)


@pytest.mark.parametrize(
    ("provider", "code"),
    [
        ("twilio", "21610"),
        ("vonage", "9"),
        ("vonage", "53"),
        ("vonage", "1240"),
        ("vonage", "1483"),
        ("whatsapp", "131050"),
        ("gupshup", "1012"),
        ("infobip", "603"),
        ("infobip", "7033"),
        ("infobip", "EC_CONSENT_FAILED"),
        ("plivo", "200"),
        ("telnyx", "40300"),
        ("messagebird", "103"),
        ("bandwidth", "4475"),
        ("bandwidth", "4775"),
        ("kpn", "004"),
        ("kaleyra", "opt-out"),
        ("aws", "Phone number is opted out"),
    ],
)
def test_opt_outs(provider: str, code: str) -> None:
    assert found(provider, code).opt_out


@pytest.mark.parametrize(
    ("provider", "code"),
    [
        ("twilio", "63014"),
        ("twilio", "30004"),
        ("infobip", "573"),
        ("infobip", "REJECTED_DND"),
        ("smpp", "DND_REJECTED"),
        ("africastalking", "UserInBlackList"),
        ("aws", "Phone has blocked SMS"),
    ],
)
def test_blocks_are_not_opt_outs(provider: str, code: str) -> None:
    meaning = found(provider, code)
    assert meaning.blocked and not meaning.opt_out


@pytest.mark.parametrize("provider", ["meta", "360dialog", "gupshup-whatsapp", "infobip-whatsapp"])
def test_partners_read_the_codes_of_whatsapp(provider: str) -> None:
    assert found(provider, "131026") == found("whatsapp", "131026")


def test_a_partner_has_codes_of_its_own_too() -> None:
    assert found("gupshup", "1002").reason == "not on WhatsApp"
    assert found("infobip-whatsapp", "7033").provider == "infobip"
    assert code_of("whatsapp", "1002") is None


@pytest.mark.parametrize("provider", ["", "north", "a provider of 2031"])
def test_a_provider_without_a_table_has_the_common_decimal_values(provider: str) -> None:
    assert found(provider, "006") == found("gsm-map", "6")
    assert code_of(provider, "EXPIRED") is None
    assert code_of(provider, "") is None


def test_one_number_means_two_things_to_two_providers() -> None:
    assert found("vonage", "2").reason == "absent or switched off"
    assert found("infobip", "2").reason == "unknown subscriber"


@pytest.mark.parametrize("code", ["7", "99999", "0", "21b", "", "none"])
def test_an_unknown_code_is_none(code: str) -> None:
    assert code_of("twilio", code) is None


def test_leading_zeroes_count_where_codes_are_no_numbers() -> None:
    assert (folded("007", True), folded("000", True), folded("007", False)) == ("7", "0", "007")
    assert folded("²", True) == "²"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("Validity period expired", "expired"),
        ("EXPIRED", "expired"),
        ("expired (id 0a1b-77) at 2026-11-08T05:00", None),
        ("Validity period expired 0a1b-77", "expired"),
        ("validity-period expired.", "expired"),
        ("EC_ABSENT_SUBSCRIBER", "absent or switched off"),
        ("Absent Subscriber", "absent or switched off"),
        ("Blocked due to STOP message", "opted out"),
        ("Unknown destination handset", "unknown subscriber"),
        ("Not on WhatsApp", "not on WhatsApp"),
        ("Message 0a1b could not be delivered at 05:00", None),
        ("other", None),
        ("30005", None),
        ("", None),
    ],
)
def test_phrases(words: str, reason: str | None) -> None:
    assert reason_of_phrase(words) == reason


def test_every_reason_is_a_phrase_of_its_own() -> None:
    assert all(reason_of_phrase(reason.upper()) == reason for reason in REASONS if reason != OTHER)
    assert set(PHRASES.values()) == set(REASONS) - {OTHER}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("accepted", "queued"),
        ("Buffered", "sent"),
        ("ENROUTE", "sent"),
        ("sending", "queued"),
        ("failed", "undelivered"),
        ("FAILED", "undelivered"),
        ("expired", "undelivered"),
        ("seen", "read"),
        ("DELIVRD", "delivered"),
        ("delivrd", "delivered"),
        ("UNDELIV", "undelivered"),
        ("ACCEPTD", "sent"),
        ("REJECTD", "rejected"),
        ("DELETED", "deleted"),
        ("canceled", "deleted"),
        ("cancelled", "deleted"),
        ("UNKNOWN", "unknown"),
        ("delivery_unconfirmed", "unknown"),
        ("DeliveredToTerminal", "delivered"),
        ("MessageWaiting", "queued"),
        ("delivery failed", "undelivered"),
        ("DND_REJECTED", "rejected"),
        ("received", None),
        ("bananas", None),
        ("", None),
    ],
)
def test_status_words(word: str, status: str | None) -> None:
    assert status_of_word(word) == status


def test_our_status_words_mean_themselves() -> None:
    assert {word: status_of_word(word) for word in STATUS_WORDS} == {w: w for w in STATUS_WORDS}
    assert set(STATUSES.values()) == set(STATUS_WORDS)


# --- tables with mistakes ---------------------------------------------------------------------

HEAD = 'provider = "north"\naliases = []\nnumeric = true\nsource = "a page"\n[codes]\n'
ROW = {"bounce": "hard", "scope": "", "reason": "expired", "words": "Late"}


def row(code: str = "1", /, **changes: object) -> str:
    """A line of a table; a change to None leaves the key out."""
    fields = {**ROW, **changes}
    pairs = (f"{key} = {json.dumps(value)}" for key, value in fields.items() if value is not None)
    return f"{code} = {{ {', '.join(pairs)} }}\n"


def table(rows: str, head: str = HEAD) -> dict[str, str]:
    return {"north.toml": head + rows}


@pytest.mark.parametrize(
    ("mistake", "rows"),
    [
        ("code '1': Invalid enum value 'firm'", row(bounce="firm")),
        ("code '1': Invalid enum value 'moon'", row(scope="moon")),
        ("code '1': 'late' is not in the list of reasons", row(reason="late")),
        ("code '1': 'other' is not in the list of reasons", row(reason="other")),
        ("code '1': Object missing required field `words`", row(words=None)),
        ("code '1': Object contains unknown field `optout`", row(optout=True)),
        ("code '1': an opt-out or a block", row(bounce="soft", opt_out=True)),
        ("code '1': Expected `object`", "1 = 7"),
        ("Cannot overwrite a value", row() + row()),
        ("code '01': '1' is the same code", row("1") + row("01")),
        ("code '2': 'Late' is the same code", row("Late") + row("2", name="LATE")),
        ("Invalid initial character", "1 = {"),
    ],
)
def test_a_mistake_names_its_file_and_key(mistake: str, rows: str) -> None:
    with pytest.raises(BadCodeTable, match=r"^north\.toml: ") as error:
        read_tables(table(rows))
    assert mistake in str(error.value)


@pytest.mark.parametrize(
    ("mistake", "old", "new"),
    [
        ("Object missing required field `source`", 'source = "a page"\n', ""),
        ("unknown field `colour`", "[codes]", "colour = 1\n[codes]"),
        ("extends 'south', which has no table", "[codes]", 'extends = ["south"]\n[codes]'),
        ("extends itself", "[codes]", 'extends = ["north"]\n[codes]'),
        ("'North': write it in lower case", '"north"', '"North"'),
    ],
)
def test_a_mistake_in_the_head_names_its_file(mistake: str, old: str, new: str) -> None:
    with pytest.raises(BadCodeTable, match=r"^north\.toml: ") as error:
        read_tables(table("", HEAD.replace(old, new)))
    assert mistake in str(error.value)


def test_an_alias_of_two_files_is_refused() -> None:
    south = HEAD.replace("north", "south").replace("[]", '["north"]')
    with pytest.raises(BadCodeTable, match=r"south\.toml: .*'north': north\.toml has it too"):
        read_tables({**table(""), "south.toml": south})


def test_the_first_of_the_extended_tables_decides() -> None:
    east = HEAD.replace("north", "east") + row("1") + row("2")
    west = HEAD.replace("north", "west") + row("2") + row("3")
    head = HEAD.replace("[codes]", 'extends = ["east", "west"]\n[codes]')
    files = {"east.toml": east, "west.toml": west, **table(row("3"), head)}
    codes = read_tables(files)["north"].codes
    assert {key: code.provider for key, code in codes.items()} == {
        "1": "east",
        "2": "east",
        "3": "north",
    }


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        ("'Too late': 'late' is not in the list of reasons", 'late = ["Too late"]'),
        ("'Expired!': means 'expired' already", 'canceled = ["Expired!"]'),
        ("'30005': nothing is left of it", 'expired = ["30005"]'),
        ("Expected `array`", 'expired = "Late"'),
    ],
)
def test_mistakes_in_phrases(mistake: str, text: str) -> None:
    with pytest.raises(BadCodeTable, match=r"^phrases\.toml: ") as error:
        read_phrases("phrases.toml", text)
    assert mistake in str(error.value)


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        ("'late': 'gone' is not a status", 'gone = ["late"]'),
        ("'De-livered': means 'delivered' already", 'sent = ["De-livered"]'),
        ("'-': nothing is left of it", 'sent = ["-"]'),
    ],
)
def test_mistakes_in_statuses(mistake: str, text: str) -> None:
    with pytest.raises(BadCodeTable, match=r"^statuses\.toml: ") as error:
        read_statuses("statuses.toml", text)
    assert mistake in str(error.value)
