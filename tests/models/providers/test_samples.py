"""Every sample is read as expected, and every pair of ids matches by its rule."""

import json
from collections import Counter
from typing import Any

import pytest

from models import providers
from models.providers import ADAPTERS
from models.providers.callback import Options, ProviderReceipt, meaning_of
from models.providers.ids import IdRule, received_id, sent_id
from tests.models.providers.samples import FOLDER, Sample, epoch_ms, samples

SAMPLES = list(samples())
PLAIN = Options()
FIELDS = ("provider_message_id", "recipient", "status", "bounce", "scope", "error_code")


def _read(sample: Sample, options: Options = PLAIN) -> list[ProviderReceipt]:
    items = providers.read(ADAPTERS[sample.provider], sample.callback, options)
    return [item for item in items if isinstance(item, ProviderReceipt)]


def _shown(receipt: ProviderReceipt) -> dict[str, Any]:
    status, bounce, scope = meaning_of(receipt)
    return {
        "provider_message_id": receipt.provider_message_id or None,
        "recipient": receipt.recipient,
        "status": status,
        "bounce": bounce or None,
        "scope": scope or None,
        "error_code": receipt.error_code,
        "occurred_at": receipt.occurred_at,
        "local_time": receipt.local_time,
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_a_sample_is_read_as_expected(sample: Sample) -> None:
    found = [_shown(receipt) for receipt in _read(sample)]
    assert len(found) == len(sample.expected)
    for receipt, expected in zip(found, sample.expected, strict=True):
        names = {*FIELDS, *({"local_time"} & expected.keys())} - sample.contested
        assert {name: receipt[name] for name in names} == {name: expected[name] for name in names}
        assert receipt["occurred_at"] == epoch_ms(expected["occurred_at"])


def test_there_are_samples_of_every_provider() -> None:
    assert {sample.provider for sample in SAMPLES} == ADAPTERS.keys()
    assert Counter(bool(sample.expected) for sample in SAMPLES)[True] > 90


#: Which rules make a pair of ids one, by the words of its source.
RULES: dict[str, tuple[IdRule, ...]] = {
    "leading zeros dropped": ("zeroes",),
    "hex in resp, decimal in receipt": ("hex-sent",),
    "upper-cased and leading zero stripped by the gateway itself": ("case", "zeroes"),
    "case differs": ("case",),
    "receipt zero-padded to 10": ("zeroes",),
}
PAIRS = json.loads((FOLDER / "smpp" / "id_matching_pairs.json").read_text())


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair["submit_sm_resp"])
def test_a_pair_of_ids_is_one_by_its_rule_only(pair: dict[str, str]) -> None:
    sent, received, rules = pair["submit_sm_resp"], pair["receipt"], RULES[pair["rule"]]
    assert sent_id(sent, rules) == received_id(received, rules)
    assert sent_id(sent, ()) != received_id(received, ())


@pytest.mark.parametrize(
    ("sent", "received", "rules"),
    [
        ("439041101", "0x1A2B3C4D", ("hex-received",)),
        ("0X1a2b3c4d", "439041101", ("hex-sent",)),
        ("not-a-number", "not-a-number", ("hex-sent",)),
        ("000", "0", ("zeroes",)),
    ],
)
def test_ids_by_rule(sent: str, received: str, rules: tuple[IdRule, ...]) -> None:
    assert sent_id(sent, rules) == received_id(received, rules)


def test_a_local_time_needs_the_zone_of_the_endpoint() -> None:
    sample = next(each for each in SAMPLES if each.file == "firetext/delivered.form")
    (unknown,), (known,) = _read(sample), _read(sample, Options(zone="Europe/London"))
    assert (unknown.occurred_at, unknown.local_time) == (None, "2016-07-10T15:17:00")
    assert known.occurred_at == epoch_ms("2016-07-10T14:17:00Z")


def test_an_endpoint_may_read_a_status_word_in_its_own_way() -> None:
    sample = next(each for each in SAMPLES if each.file == "clickatell/gateway_4.json")
    (receipt,) = _read(sample, Options(statuses={"4": "delivered"}))
    assert receipt.status == "delivered"


def test_an_endpoint_may_have_another_table_of_codes() -> None:
    sample = next(each for each in SAMPLES if each.file == "smpp/34_undeliv_6min.txt")
    (ours,), (theirs,) = _read(sample), _read(sample, Options(codes="twilio-smpp"))
    assert meaning_of(ours) == ("undelivered", "hard", "recipient")
    assert meaning_of(theirs) == ("undelivered", "soft", "recipient")
