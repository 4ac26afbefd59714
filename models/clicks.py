"""Which clicks are a person's, and which a program's: link previews and scanners open links too."""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

from models.facts import Click

#: A click this close to the delivery of its message, in ms, is a program's.
AFTER_DELIVERY_MS: Final = 2_000
#: Clicks on different links of one message this close together, in ms, are a program's.
OTHER_LINK_MS: Final = 1_000

#: Clicks kept of one message: the earliest, so that forgetting obeys the join.
MAX_CLICKS: Final = 32
#: A longer link is kept as its checksum: only its being another one matters.
_MAX_LINK: Final = 32


def click_of(at_ms: int, link_id: str | None, url: str | None, automated: bool) -> Click:
    """A click as states keep it."""
    link = link_id or url or ""
    return Click(
        at_ms, link if len(link) <= _MAX_LINK else f"{crc32(link.encode()):08x}", automated
    )


def first_clicks(clicks: Sequence[Click], delivered_at: int) -> tuple[int, int]:
    """When a person and when a program clicked first, in epoch ms; 0: never.

    clicks: of one message, by time. delivered_at: epoch ms; 0: not delivered
    """
    person = program = 0
    for click in clicks:
        if _is_automated(click, clicks, delivered_at):
            program = program or click.at
        else:
            person = person or click.at
        if person and program:
            break
    return person, program


def _is_automated(click: Click, clicks: Sequence[Click], delivered_at: int) -> bool:
    if click.automated or (delivered_at and abs(click.at - delivered_at) <= AFTER_DELIVERY_MS):
        return True
    return any(
        abs(other.at - click.at) <= OTHER_LINK_MS and other.link != click.link
        for other in clicks
        if other.link and click.link
    )
