"""When simulated senders retry a message: as the retry requests will say, or not."""

from __future__ import annotations

from random import Random

from deploy.simulator.traffic.message import Message
from deploy.simulator.traffic.outcomes import StatusReport

MINUTE_MS = 60_000
EVERY_S, FOR_S = 3600, 172_800  # the defaults of an account
OWN_TRIES = 3


def due_ms(message: Message, bounced_ms: int) -> int:
    """When the next attempt is due after a soft bounce (epoch ms); 0: never."""
    settings = message.account.settings
    every, longest = settings.get("retry_every_s", EVERY_S), settings.get("retry_for_s", FOR_S)
    assert isinstance(every, int)
    assert isinstance(longest, int)
    tries = max(0, bounced_ms - message.sent_ms) // (every * 1000) + 1
    if not settings.get("retry_soft_bounces", True) or tries * every > longest:
        return 0
    return message.sent_ms + tries * every * 1000


def next_attempt_ms(
    rng: Random, message: Message, reports: list[StatusReport], attempt: int
) -> int:
    """When the sender retries (epoch ms); 0: it does not.

    Most senders follow a retry request within half a minute; a few are down. Those who switched
    requests off retry by their own rules.
    """
    failed = next((r for r in reports if r.rank == 2), None)
    if failed is None or failed.note in ("opted_out", "blocking"):
        return 0
    if not message.account.settings.get("retry_soft_bounces", True):
        if attempt == OWN_TRIES or rng.random() > 0.45:
            return 0
        at = failed.occurred_ms + int(rng.uniform(5, 45) * MINUTE_MS)
        return at - at % 1000
    due_at = due_ms(message, failed.occurred_ms)
    known_by_then = any(r.rank >= 3 and r.occurred_ms < due_at for r in reports)
    if not due_at or known_by_then or (rng.random() < 0.15 and not message.switched_off):
        return 0
    at = due_at + rng.randint(1000, 30_000)
    return at - at % 1000 if message.account.seconds_only else at
