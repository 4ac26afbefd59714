"""What the tests of simulated traffic have in common."""

from deploy.simulator.event import Event, Published

AS_OF = 1_795_300_000_000
EVENTS = 60_000
MINUTE_MS = 60_000


def as_published(events: list[Event]) -> list[Published]:
    return [
        Published(e.kind, 0, n, e.arrival_ms, e.key, e.value, e.kind, e.note, e.expect)
        for n, e in enumerate(events)
    ]
