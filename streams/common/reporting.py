"""What agents report: metrics of plans, rules that raised, unreadable records, newer values."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Literal

from models.masking import mask_key, mask_person_key, mask_values
from models.metrics import BY_NAME, Meter
from models.refusal import MAX_DETAIL
from models.settings import Topic
from streams.batching import Observer
from streams.common.plan import Plan
from streams.kafka.errors import Kind
from streams.kafka.reading import Place

log = logging.getLogger(__name__)

REPEAT_S: Final = 60.0

#: Records of a topic that are logged one by one.
FIRST_LINES: Final = 5

#: An exception's type, and the file and line that raised it.
Fault = tuple[type[Exception], str, int]


class RuleFailures:
    """Counts the rules of one agent that raised, and logs each fault once a minute.

    agent: the label of the metric, "lifecycle" or "suppression"
    clock: seconds, monotonic
    """

    def __init__(
        self, agent: str, meter: Meter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._agent = agent
        self._meter = meter
        self._clock = clock
        self._logged: dict[Fault, float] = {}

    def report(self, plan: Plan) -> None:
        """Count and log the rules that raised while a plan was made."""
        if not plan.failures:
            return
        self._meter.add("receipts_rule_failures_total", len(plan.failures), agent=self._agent)
        now = self._clock()
        for key, error in plan.failures:
            fault = _fault(error)
            if now - self._logged.get(fault, -REPEAT_S) >= REPEAT_S:
                self._logged[fault] = now
                log.error("a rule failed on %s", self._shown(key), exc_info=error)

    def _shown(self, key: bytes) -> str:
        return mask_person_key(key) if self._agent == "suppression" else mask_key(key)


class PlanReporter:
    """Emits what the plans of one agent count and measure, and logs the rules that raised.

    agent: "lifecycle" or "suppression"
    """

    def __init__(self, agent: str, meter: Meter) -> None:
        self._meter = meter
        self._failures = RuleFailures(agent, meter)

    def report(self, plan: Plan) -> None:
        """Emit the metrics of a plan that was delivered, and log its failures."""
        meter = self._meter
        for (name, *values), number in plan.counts.items():
            meter.add(name, number, **dict(zip(BY_NAME[name].labels, values, strict=True)))
        for (channel, provider), seconds in plan.delays.items():
            labels = {"channel": channel, "provider": provider}
            meter.observe_many("receipts_time_to_deliver_seconds", seconds, **labels)
        self._failures.report(plan)


class MetricsObserver(Observer):
    """Counts what the app reports. prefix: of the installation's topic names"""

    def __init__(self, meter: Meter, prefix: str) -> None:
        self._meter = meter
        self._prefix = prefix

    def acknowledged(self, topic: str, records: int) -> None:
        """Count records produced, by the plain name of their topic."""
        name = topic.removeprefix(self._prefix)
        self._meter.add("receipts_records_out_total", records, topic=name)

    def committed(self) -> None:
        """Count a commit."""
        self._meter.add("receipts_commits_total")

    def commit_failed(self) -> None:
        """Count a commit that failed."""
        self._meter.add("receipts_commit_failures_total")

    def kafka_error(self, client: Literal["consumer", "producer"], kind: Kind) -> None:
        """Count an error of a client."""
        self._meter.add("receipts_kafka_errors_total", client=client, kind=kind)

    def wrote_states(self, seconds: float) -> None:
        """Note how long a write to disk took."""
        self._meter.observe("receipts_state_write_seconds", seconds)


class SteppedOver:
    """Logs records that were stepped over: the first of each topic, then one line a minute.

    Such a record is found again at every start, as long as it is in its topic.
    clock: seconds, monotonic
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._logged_at: dict[str, float] = {}

    def report(self, place: Place, fault: str) -> None:
        """place: where the record is. fault: why it cannot be read or used"""
        topic, now = place.topic, self._clock()
        self._seen[topic] += 1
        again = now - self._logged_at.get(topic, now) >= REPEAT_S
        if self._seen[topic] > FIRST_LINES and not again:
            self._left_out[topic] += 1
            return
        self._logged_at[topic] = now
        left_out = self._left_out.pop(topic, 0)
        more = f" (and {left_out} more of this topic since the last line)" if left_out else ""
        if self._seen[topic] == FIRST_LINES:
            more = "; more of this topic are logged once a minute"
        why = mask_values(fault[:MAX_DETAIL])
        log.warning("%s: stepped over, it cannot be read: %s%s", place.shown(mask_key), why, more)


def _fault(error: Exception) -> Fault:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error), "", 0
    return type(error), trace.tb_frame.f_code.co_filename, trace.tb_lineno


def report_newer(partition: int, topic: Topic, found: Counter[str], meter: Meter) -> None:
    """Count and log what a restore found that only a newer version knows.

    found: what it is, such as "status 7", and in how many records
    """
    if found:
        meter.add("receipts_newer_values_total", found.total(), topic=topic)
        named = ", ".join(f"{name} ({count})" for name, count in sorted(found.items()))
        log.warning(
            "%s[%d] has values of a newer version, read with defaults: %s", topic, partition, named
        )
