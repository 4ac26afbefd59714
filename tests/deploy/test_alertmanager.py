"""Which alerts our Alertmanager silences because another one is their cause: the real program."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.monitoring import Alertmanager
from tests.support.rules import FOLDER, alerts, load
from tests.support.waiting import until

pytestmark = pytest.mark.slow

PAGE, TICKET = "page", "ticket"
Labels = dict[str, str]
WAIT_S = 30.0

#: A cause, and alerts that come with it: where both are about a process, in the same one.
PAIRS = {
    "ReceiptsNoWorker": [
        ("ReceiptsProcessDown", TICKET), ("ReceiptsRestarts", PAGE), ("ReceiptsStuck", PAGE),
        ("ReceiptsProviderSilent", PAGE),
    ],
    "ReceiptsNoSink": [("ReceiptsProcessDown", TICKET), ("ReceiptsClickHouseRefuses", TICKET)],
    "ReceiptsNoListener": [("ReceiptsEndpointSilent", TICKET), ("ReceiptsNotReady", PAGE)],
    "ReceiptsCallbacksUnavailable": [
        ("ReceiptsCallbacksSlow", TICKET), ("ReceiptsEndpointSilent", TICKET),
    ],
    "ReceiptsCallbacksForged": [("ReceiptsEndpointSilent", TICKET)],
    "ReceiptsRestarts": [
        ("ReceiptsNotReady", TICKET), ("ReceiptsProcessDown", TICKET), ("ReceiptsStuck", PAGE),
        ("ReceiptsLagUnknown", PAGE), ("ReceiptsRebalances", TICKET),
        ("ReceiptsStandbyMissing", TICKET),
    ],
    "ReceiptsKafkaRefuses": [
        ("ReceiptsNotReady", PAGE), ("ReceiptsCommitsFail", PAGE), ("ReceiptsStuck", PAGE),
        ("ReceiptsOptOutsRising", TICKET),
    ],
    "ReceiptsSinkNotWriting": [
        ("ReceiptsClickHouseRefuses", TICKET), ("ReceiptsNotReady", PAGE),
        ("ReceiptsNotReady", TICKET), ("ReceiptsLagHigh", PAGE), ("ReceiptsStuck", PAGE),
    ],
    "ReceiptsNotReady": [
        ("ReceiptsNotReady", TICKET),
        ("ReceiptsLagHigh", PAGE), ("ReceiptsLagUnknown", PAGE), ("ReceiptsStuck", PAGE),
        ("ReceiptsCommitsFail", PAGE),
        ("ReceiptsKafkaErrors", TICKET), ("ReceiptsFollowerBehind", TICKET),
        ("ReceiptsStandbyBehind", TICKET), ("ReceiptsStandbyMissing", TICKET),
    ],
    "ReceiptsRestoreSlow": [
        ("ReceiptsNotReady", TICKET), ("ReceiptsStuck", PAGE), ("ReceiptsLagHigh", PAGE),
        ("ReceiptsStandbyBehind", TICKET),
    ],
    "ReceiptsStuck": [
        ("ReceiptsLagHigh", PAGE), ("ReceiptsLagUnknown", PAGE), ("ReceiptsDeliveryRateLow", PAGE),
    ],
}  # fmt: skip
#: A page about one process, and alerts of another one that it silences all the same.
OF_THE_GROUP = {("ReceiptsRestarts", ("ReceiptsRebalances", TICKET))}
#: A page, and an alert with another cause, which it must not silence.
APART = [
    ("ReceiptsSinkNotWriting", ("ReceiptsMemoryHigh", PAGE)),
    ("ReceiptsSinkNotWriting", ("ReceiptsClickHouseParts", TICKET)),
    ("ReceiptsNotReady", ("ReceiptsSinkNotWriting", PAGE)),
    ("ReceiptsNotReady", ("ReceiptsKafkaRefuses", PAGE)),
    ("ReceiptsNotReady", ("ReceiptsRestoreSlow", PAGE)),
    ("ReceiptsLagHigh", ("ReceiptsStuck", PAGE)),
    ("ReceiptsRestarts", ("ReceiptsLagHigh", PAGE)),
    ("ReceiptsRestarts", ("ReceiptsNotReady", PAGE)),
    ("ReceiptsRestoreSlow", ("ReceiptsNotReady", PAGE)),
    ("ReceiptsDeadLetters", ("ReceiptsRuleFailures", TICKET)),
    ("ReceiptsCallbacksForged", ("ReceiptsCallbacksSlow", TICKET)),
]


@cache
def fired() -> list[list[Labels]]:
    """Labels of the alerts that each case of promtool expects to fire together."""
    cases = [
        case
        for path in sorted(FOLDER.glob("tests/*.yml"))
        for test in load(path)["tests"]
        for case in test["alert_rule_test"]
    ]
    return [
        [{"alertname": case["alertname"], **each["exp_labels"]} for each in case["exp_alerts"]]
        for case in cases
    ]


def example(name: str, severity: str, job: str, process: str = "here:1") -> Labels:
    """Labels with which the alert fires, in a job; if it is about them, a process and one topic."""
    found = next(
        labels
        for together in fired()
        for labels in together
        if (labels["alertname"], labels["severity"]) == (name, severity)
    )
    about = {"job": job, "instance": process, "topic": "sends"}
    return {**found, **{label: value for label, value in about.items() if label in found}}


def pairs() -> list[tuple[str, tuple[str, str]]]:
    """A cause and a symptom of each pair."""
    return [(cause, symptom) for cause, found in PAIRS.items() for symptom in found]


def pairs_of_processes() -> list[tuple[str, tuple[str, str]]]:
    """Pairs of which both are about one process."""
    return [
        (cause, symptom)
        for cause, symptom in pairs()
        if "instance" in example(cause, PAGE, "") and "instance" in example(*symptom, "")
    ]


def page_and_ticket() -> list[tuple[Labels, Labels]]:
    """Pages with the tickets about the same thing, by the labels with which the rules fire."""
    return [
        (page, ticket)
        for together in fired()
        for page in together
        for ticket in together
        if (page["severity"], ticket["severity"]) == (PAGE, TICKET)
        and {**page, "severity": TICKET}.items() <= ticket.items()
    ]


@pytest.fixture(scope="module")
def alertmanager(
    prometheus_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alertmanager]:
    folder = tmp_path_factory.mktemp("alertmanager")
    found = Alertmanager(prometheus_programs, folder, load(FOLDER / "alertmanager.yml"))
    yield found
    found.child.stop()


def silenced(alertmanager: Alertmanager, job: str) -> dict[tuple[str, str], bool]:
    """Whether each alert of a job is silenced, by name and severity."""
    return {
        (labels["alertname"], labels["severity"]): silent
        for labels, silent in alertmanager.alerts()
        if labels["job"] == job
    }


def until_silenced(alertmanager: Alertmanager, job: str, wanted: set[tuple[str, str]]) -> None:
    def holds() -> bool:
        return {at for at, is_silent in silenced(alertmanager, job).items() if is_silent} == wanted

    until(holds, f"of {job} just {wanted} are silent", WAIT_S, lambda: silenced(alertmanager, job))


@pytest.mark.parametrize(("cause", "symptom"), pairs())
def test_a_cause_silences_what_comes_with_it(
    cause: str, symptom: tuple[str, str], alertmanager: Alertmanager
) -> None:
    """In its job alone, and the cause itself stays."""
    here, other = (f"{cause}-{'-'.join(symptom)}-{place}" for place in ("here", "elsewhere"))
    alertmanager.send(example(cause, PAGE, here), example(*symptom, here))
    alertmanager.send(example(*symptom, other))
    until_silenced(alertmanager, here, {symptom})
    assert silenced(alertmanager, other) == {symptom: False}


@pytest.mark.parametrize(("cause", "symptom"), pairs_of_processes())
def test_a_cause_in_one_process_silences_nothing_of_another(
    cause: str, symptom: tuple[str, str], alertmanager: Alertmanager
) -> None:
    job = f"{cause}-{'-'.join(symptom)}-processes"
    other = example(*symptom, job, "there:1")
    alertmanager.send(other, example(cause, PAGE, job), example(*symptom, job))

    def silent() -> dict[str, bool]:
        found = alertmanager.alerts()
        return {
            labels["instance"]: is_silent
            for labels, is_silent in found
            if labels["job"] == job and (labels["alertname"], labels["severity"]) == symptom
        }

    until(lambda: silent().get("here:1", False), "its own symptom is silent", WAIT_S)
    assert silent()["there:1"] == ((cause, symptom) in OF_THE_GROUP)


@pytest.mark.parametrize(("page", "ticket"), page_and_ticket(), ids=lambda a: a["alertname"])
def test_a_page_silences_its_own_ticket(
    page: Labels, ticket: Labels, alertmanager: Alertmanager
) -> None:
    name = page["alertname"]
    here, other = f"{name}-ticket-here", f"{name}-ticket-elsewhere"
    alertmanager.send({**page, "job": here}, *[{**ticket, "job": job} for job in (here, other)])
    until_silenced(alertmanager, here, {(name, TICKET)})
    assert silenced(alertmanager, other) == {(name, TICKET): False}


def test_every_alert_that_has_both_is_tried() -> None:
    severities: dict[str, set[str]] = {}
    for alert in alerts():
        severities.setdefault(alert["alert"], set()).add(alert["labels"]["severity"])
    both = {name for name, found in severities.items() if len(found) > 1}
    assert {page["alertname"] for page, _ in page_and_ticket()} == both


@pytest.mark.parametrize(("pages", "stays"), APART)
def test_what_has_another_cause_is_not_silent(
    pages: str, stays: tuple[str, str], alertmanager: Alertmanager
) -> None:
    job = f"{pages}-apart-{stays[0]}"
    alertmanager.send(example(pages, PAGE, job), example(*stays, job))
    ticket = {**example(pages, PAGE, job), "severity": TICKET}
    alertmanager.send(ticket)  # by it we see that the rules were applied to this page
    until(
        lambda: silenced(alertmanager, job).get((pages, TICKET), False),
        "its ticket is silent",
        WAIT_S,
    )
    assert not silenced(alertmanager, job)[stays]


def test_a_ticket_silences_nothing(alertmanager: Alertmanager) -> None:
    job, symptom = "tickets", ("ReceiptsClickHouseRefuses", TICKET)
    alertmanager.send(example("ReceiptsSinkNotWriting", TICKET, job), example(*symptom, job))
    alertmanager.send(example("ReceiptsSinkNotWriting", PAGE, "a page that comes later"))
    alertmanager.send(example("ReceiptsSinkNotWriting", TICKET, "a page that comes later"))
    until_silenced(alertmanager, "a page that comes later", {("ReceiptsSinkNotWriting", TICKET)})
    assert not any(silenced(alertmanager, job).values())
