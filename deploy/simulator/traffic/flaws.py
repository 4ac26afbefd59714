"""Small flaws of valid events: fields that are wrong and cost nothing but themselves.

Unlike broken input (`corruption.py`) such an event is accepted: the field is mended or left out.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from deploy.simulator.event import ENGAGEMENTS, RECEIPTS, SENDS
from deploy.simulator.traffic.encoding import Fields

FLAWED_SHARE = {SENDS: 0.004, RECEIPTS: 0.004, ENGAGEMENTS: 0.03}

Damage = Callable[[Fields], Fields | None]


class Flaw(NamedTuple):
    """One kind of flaw.

    damage: the changed fields of an event; None: the event cannot have it.
    """

    name: str
    topic: str
    damage: Damage


def _set(**changes: object) -> Damage:
    return lambda fields: {**fields, **changes}


def _where(field: str, damage: Damage) -> Damage:
    """Only of an event that has no such field."""
    return lambda fields: None if fields.get(field) is not None else damage(fields)


def _digits(field: str) -> Damage:
    """A code or an id as a number."""

    def damage(fields: Fields) -> Fields | None:
        text = fields.get(field)
        is_code = isinstance(text, str) and text.isdecimal() and text[0] != "0"
        return {**fields, field: int(str(text))} if is_code else None

    return damage


def _lengthened(field: str, size: int) -> Damage:
    def damage(fields: Fields) -> Fields | None:
        text = fields.get(field)
        if not isinstance(text, str) or not text or not text.isascii():
            return None  # others would be too many bytes for an event
        return {**fields, field: (f"{text} " * (size // len(text) + 1))[:size]}

    return damage


def _broken_text(text: str) -> Damage:
    return lambda fields: (
        {**fields, "text": f"{fields['text']}{text}"} if "text" in fields else None
    )


def _number(write: Callable[[str], str]) -> Damage:
    """The recipient as people write numbers."""

    def damage(fields: Fields) -> Fields | None:
        number = fields.get("recipient")
        if not isinstance(number, str) or number[:1] != "+" or "direction" in fields:
            return None
        return {**fields, "recipient": write(number)}

    return damage


def _spaced(number: str) -> str:
    return f"{number[:4]} ({number[4:7]}) {number[7:]}"


FLAWS = (
    Flaw("text_long", SENDS, _lengthened("text", 33_000)),
    Flaw("text_surrogate", SENDS, _broken_text(" \ud83d")),
    Flaw("text_nul", SENDS, _broken_text("\x00.")),
    Flaw("text_list", SENDS, _set(text=["a", "b"])),
    Flaw("country_word", SENDS, _set(country="Germany")),
    Flaw("segments_negative", SENDS, _set(segments=-1)),
    Flaw("segments_word", SENDS, _set(segments="two")),
    Flaw("credits_negative", SENDS, _set(credits=-0.5)),
    Flaw("credits_word", SENDS, _set(credits="much")),
    Flaw("email_list", SENDS, _set(email=["a@mail.example"])),
    Flaw("validity_short", SENDS, _where("validity_s", _set(validity_s=59))),
    Flaw("validity_long", SENDS, _where("validity_s", _set(validity_s=604_801))),
    Flaw("validity_text", SENDS, _where("validity_s", _set(validity_s="an hour"))),
    Flaw("sender_number", SENDS, _set(sender_id=447_400_123_456)),
    Flaw("external_number", SENDS, _set(external_id=1_234_567)),
    Flaw("platform_object", SENDS, _set(platform={"name": "web"})),
    Flaw("type_long", SENDS, _lengthened("message_type", 70)),
    Flaw("source_word", SENDS, _where("campaign_id", _set(source="carrier_pigeon"))),
    Flaw("number_bare", SENDS, _number(lambda number: number[1:])),
    Flaw("number_spaced", SENDS, _number(_spaced)),
    Flaw("number_00", SENDS, _number(lambda number: f"00{number[1:]}")),
    Flaw("reason_long", RECEIPTS, _lengthened("reason", 1_100)),
    Flaw("code_number", RECEIPTS, _digits("error_code")),
    Flaw("bounce_word", RECEIPTS, _where("bounce", _set(bounce="medium"))),
    Flaw("scope_word", RECEIPTS, _where("scope", _set(scope="moon"))),
    Flaw("number_bare", RECEIPTS, _number(lambda number: number[1:])),
    Flaw("number_word", RECEIPTS, _set(recipient="anonymous")),
    Flaw("price_alone", RECEIPTS, _where("price", _set(price="0.01"))),
    Flaw("price_word", RECEIPTS, _where("price", _set(price="free", currency="EUR"))),
    Flaw("network_dashed", RECEIPTS, _set(mccmnc="310-260")),
    Flaw("network_number", RECEIPTS, _digits("mccmnc")),
    Flaw("part_alone", RECEIPTS, _where("part", _set(part=2))),
    Flaw("url_long", ENGAGEMENTS, _lengthened("url", 2_100)),
    Flaw("link_number", ENGAGEMENTS, _set(link_id=17)),
    Flaw("agent_list", ENGAGEMENTS, _set(user_agent=["Mozilla"])),
    Flaw("automated_word", ENGAGEMENTS, _where("automated", _set(automated="perhaps"))),
)  # fmt: skip


class Flaws:
    """Damages some events, with every kind of flaw before any comes again."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._decks: dict[str, list[Flaw]] = {topic: [] for topic in FLAWED_SHARE}

    def damage(self, topic: str, fields: Fields, note: str) -> tuple[Fields, str]:
        """The fields, damaged or not, and the note of their event."""
        if note or self._rng.random() > FLAWED_SHARE[topic]:
            return fields, note
        deck = self._decks[topic]
        if not deck:
            deck += [flaw for flaw in FLAWS if flaw.topic == topic]
            self._rng.shuffle(deck)
        for place, flaw in enumerate(deck):
            damaged = flaw.damage(fields)
            if damaged is not None:
                del deck[place]
                return damaged, f"flawed:{flaw.name}"
        return fields, note
