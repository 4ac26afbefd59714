"""One run of simulated traffic, shared by the tests that look at it."""

import json
from typing import Any

import pytest

from deploy.simulator.event import Event
from deploy.simulator.oracle.expect import Expected, expect
from deploy.simulator.traffic.generate import generate
from tests.simulator.runs import AS_OF, EVENTS, as_published


@pytest.fixture(scope="session")
def events() -> list[Event]:
    return list(generate(1, EVENTS, AS_OF))


@pytest.fixture(scope="session")
def valid(events: list[Event]) -> list[tuple[Event, dict[str, Any]]]:
    return [(e, json.loads(e.value or b"")) for e in events if not e.expect]


@pytest.fixture(scope="session")
def expected(events: list[Event]) -> Expected:
    return expect(as_published(events), AS_OF)
