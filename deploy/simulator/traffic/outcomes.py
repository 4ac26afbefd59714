"""The outcome of one attempt: the statuses that its provider reports, and when."""

from __future__ import annotations

from math import exp, log
from random import Random
from typing import NamedTuple

from deploy.simulator.traffic.encoding import Fields
from deploy.simulator.traffic.message import Message
from deploy.simulator.traffic.phones import is_dead
from deploy.simulator.traffic.profiles import (
    BLOCKING,
    DEAD_DELIVERED_SHARE,
    HARD,
    HARD_CONTENT,
    HOUR_S,
    OPTED_OUT,
    OUTCOMES,
    REJECTED,
    RETRY_OUTCOMES,
    SILENT,
    SOFT,
    VALIDITIES_S,
    Failure,
    Provider,
)

LONGEST_S = 72 * 3600
_P95_OVER_MEDIAN = 11  # median 3-6 s, p95 30-60 s


class StatusReport(NamedTuple):
    """One status that a provider reports about an attempt.

    rank: 0 submitted, 1 queued or sent, 2 soft failure, 3 other failure, 4 delivered, 5 read.
    details: more fields of the receipt (error_code, reason, bounce, scope).
    """

    status: str
    occurred_ms: int
    rank: int
    details: Fields
    note: str = ""


_SIGMA = log(_P95_OVER_MEDIAN) / 1.645


def attempt_reports(
    rng: Random, message: Message, provider: Provider, attempt: int, sent_ms: int
) -> list[StatusReport]:
    """The reports of one attempt in order of time; empty when the network reports nothing."""
    outcome = _outcome(rng, message, attempt)
    if outcome == "silent":
        return []
    reports = [
        StatusReport(status, sent_ms + 200 + 700 * n + rng.randint(0, 400), step_rank(status), {})
        for n, status in enumerate(provider.steps)
        if rng.random() < 0.95
    ]
    if outcome != "never":
        reports += _final_reports(rng, message, provider, outcome, sent_ms)
    if provider.seconds_only:
        reports = [r._replace(occurred_ms=r.occurred_ms // 1000 * 1000) for r in reports]
    if rng.random() < 0.002:  # the provider's clock is wrong
        skew = rng.choice((-3_600_000, -90_000, -5_000, 60_000, 240_000))
        reports = [r._replace(occurred_ms=r.occurred_ms + skew, note="skewed") for r in reports]
    return reports


def step_rank(status: str) -> int:
    """The rank of a status before the final one."""
    return 0 if status == "submitted" else 1


def _outcome(rng: Random, message: Message, attempt: int) -> str:
    if message.switched_off:
        return "soft" if rng.random() < 0.98 else "delivered"
    if rng.random() < SILENT.get(message.country, 0.006):
        return "silent"
    if is_dead(message.person):
        return "delivered" if rng.random() < DEAD_DELIVERED_SHARE else "hard"
    outcomes = OUTCOMES if attempt == 1 else RETRY_OUTCOMES
    return rng.choices(outcomes.names, cum_weights=outcomes.cumulative)[0]


def _final_reports(
    rng: Random, message: Message, provider: Provider, outcome: str, sent_ms: int
) -> list[StatusReport]:
    """The final report, and seldom later ones that contradict it."""
    forbidden = {"opted_out": OPTED_OUT, "blocking": BLOCKING}.get(outcome, {}).get(provider.name)
    if outcome == "delivered" or (outcome in ("opted_out", "blocking") and not forbidden):
        return _delivered(rng, message, provider, sent_ms)
    at = sent_ms + 1500 + int(_seconds(rng, provider) * 1000)
    if forbidden:
        return [_forbidden(rng, provider, forbidden, at, outcome)]
    if outcome == "soft":
        return _soft(rng, message, provider, sent_ms, at)
    if outcome == "hard":
        return _hard(rng, provider, at)
    if outcome == "deleted":
        return [StatusReport("deleted", at, 3, {"reason": "Message deleted"})]
    failure = rng.choice(REJECTED[provider.codes])
    if outcome == "rejected_soft":
        return [StatusReport("rejected", at, 2, _details(rng, failure, "soft", True))]
    return [StatusReport("rejected", at, 3, _details(rng, failure, "hard", provider.gives_bounce))]


def _forbidden(
    rng: Random, provider: Provider, failure: Failure, at: int, note: str
) -> StatusReport:
    """A failure whose code forbids another attempt, whatever bounce the provider gives."""
    bounce = "soft" if rng.random() < 0.2 else "hard"
    details = _details(rng, failure, bounce, provider.gives_bounce or bounce == "soft")
    status = "rejected" if rng.random() < 0.3 else "undelivered"
    return StatusReport(status, at, 2 if bounce == "soft" else 3, details, note)


def _delivered(
    rng: Random, message: Message, provider: Provider, sent_ms: int
) -> list[StatusReport]:
    luck = rng.random()
    longest = min(LONGEST_S, message.validity_s)
    if luck < 0.05:  # a handset that was off: minutes to days
        seconds, note = exp(rng.uniform(log(60), log(max(120, longest)))), "long_tail"
        if luck < 0.003:  # after the validity
            seconds, note = longest + rng.uniform(600, 12 * 3600), "after_expiry"
    else:
        seconds, note = _seconds(rng, provider), ""
    at = sent_ms + 1000 + int(seconds * 1000)
    # Some providers add "no error" to a success; it must not be shown as an error.
    details: Fields = {"error_code": "000"} if provider.codes == "map" else {}
    delivered = StatusReport("delivered", at, 4, details, note)
    if not message.whatsapp or rng.random() > 0.62:
        return [delivered]
    read = StatusReport("read", at + int(rng.lognormvariate(log(180), 1.8) * 1000), 5, {})
    if rng.random() < 0.04:  # read immediately: WhatsApp then sends no "delivered"
        return [read]
    if rng.random() < 0.004:  # delivered and read, but the provider reports a failure in between
        failed = StatusReport("undelivered", at + 1000, 2, {"bounce": "soft"}, "read_after_failed")
        return [failed, read]
    return [delivered, read]


def _hard(rng: Random, provider: Provider, at: int) -> list[StatusReport]:
    """Mostly one report with scope recipient; sometimes three, or a delivery after it."""
    luck = rng.random()
    if luck < 0.06:
        refused = HARD_CONTENT[provider.codes]
        details = _details(rng, refused, "hard", provider.gives_bounce) | {"scope": refused.scope}
        return [StatusReport("undelivered", at, 3, details, "hard_content")]
    failures = HARD[provider.codes]
    given = provider.gives_bounce  # the codes of the others are known
    hard = StatusReport("undelivered", at, 3, _details(rng, rng.choice(failures), "hard", given))
    if luck < 0.16:
        return [hard] + [
            hard._replace(
                occurred_ms=at + delay,
                details=_details(rng, rng.choice(failures), "hard", given),
                note="reported_three_times",
            )
            for delay in (2_000, 61_000)
        ]
    if luck < 0.26:
        later = at + int(exp(rng.uniform(log(30), log(12 * 3600))) * 1000)
        return [hard, StatusReport("delivered", later, 4, {}, "delivered_after_failed")]
    return [hard]


def _soft(
    rng: Random, message: Message, provider: Provider, sent_ms: int, at: int
) -> list[StatusReport]:
    if not message.switched_off and message.validity_s > 48 * HOUR_S and rng.random() < 0.03:
        at = sent_ms + 48 * HOUR_S * 1000 + rng.choice((-60_000, -45_000, -1000, 0, 500_000))
        late = _details(rng, rng.choice(SOFT[provider.codes]), "soft", provider.gives_bounce)
        return [StatusReport("undelivered", at, 2, late, "soft_late")]
    spikes = [s for s in VALIDITIES_S if s <= message.validity_s]
    if spikes and not message.switched_off and rng.random() < 0.35:
        # the provider reports an expiry, at exactly a usual period
        at = sent_ms + rng.choice(spikes) * 1000
        details: Fields = {"error_code": "EXPIRED", "reason": "Validity period expired",
                           "bounce": "soft", "scope": "time"}  # fmt: skip
        return [StatusReport("undelivered", at, 2, details, "validity_spike")]
    failure = rng.choice(SOFT[provider.codes])
    details = _details(rng, failure, "soft", provider.gives_bounce)
    reports = [StatusReport("undelivered", at, 2, details)]
    luck = rng.random() if not message.switched_off else 1.0
    if luck < 0.04:
        later = at + int(exp(rng.uniform(log(30), log(6 * 3600))) * 1000)
        reports.append(StatusReport("delivered", later, 4, {}, "delivered_after_failed"))
    elif luck < 0.07:  # the network gives up
        hard = _details(rng, rng.choice(HARD[provider.codes]), "hard", True)
        reports.append(StatusReport("undelivered", at + 60_000, 3, hard, "hard_after_soft"))
    return reports


def _details(rng: Random, failure: Failure, bounce: str, gives_bounce: bool) -> Fields:
    """The fields of a failure; empty ones are left out."""
    details: Fields = {}
    if failure.code:
        details["error_code"] = failure.code
    if failure.reason:
        details["reason"] = failure.reason
    if gives_bounce:
        details["bounce"] = bounce
    if failure.scope and rng.random() < 0.9:
        details["scope"] = failure.scope
    return details


def _seconds(rng: Random, provider: Provider) -> float:
    """Lognormal time to the final report, with the median of the provider."""
    return rng.lognormvariate(log(provider.median_s), _SIGMA)
