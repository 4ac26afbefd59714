"""Some receipts come as callbacks of their providers instead: late ids, doubles, forgeries.

What a provider's callback has no place for (bounce, scope, the number of a part) is left out, so
only receipts whose code explains them become callbacks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any, Final

from deploy.simulator.callbacks.dialects import DIALECTS, code_of, reason_of, words_of
from deploy.simulator.callbacks.endpoints import endpoint_name
from deploy.simulator.event import CALLBACKS, FORGED, PROVIDER_IDS, RECEIPTS, Event
from deploy.simulator.traffic.encoding import Fields, to_json
from deploy.simulator.traffic.profiles import (
    BLOCKING,
    HARD,
    HARD_CONTENT,
    OPTED_OUT,
    REJECTED,
    SMS_PROVIDERS,
    SOFT,
    WHATSAPP_PROVIDERS,
    WORDS,
)

#: Of receipts that can be callbacks.
SHARE: Final = 0.35
#: Of callbacks.
DOUBLED, FORGERIES, BROKEN, WITHOUT_RECEIPT = 0.02, 0.005, 0.005, 0.006
#: Of those that name their message by an id alone.
LOST_ID, LATE_ID = 0.004, 0.3
#: Simulated providers whose callbacks are simulated, and the adapters that read them.
ADAPTERS: Final = {"twilio": "twilio", "vonage": "vonage", "infobip": "infobip",
                   "whatsapp": "whatsapp", "smpp-east": "smpp"}  # fmt: skip
_CODES: Final = {p.name: p.codes for p in (*SMS_PROVIDERS, *WHATSAPP_PROVIDERS)}
#: Providers that give their id with the answer to a send, which then has it.
_EARLY: Final = {p.name for p in (*SMS_PROVIDERS, *WHATSAPP_PROVIDERS) if p.early_id}
_OUR_WORDS: Final = {name: {word: status for status, words in table.items() for word in words}
                     for name, table in WORDS.items()}  # fmt: skip
#: Not in the provider's own table.
_UNLISTED: Final = {("infobip", "040")}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Notes of receipts that say nothing else than others.
_PLAIN: Final = ("duplicate", "hard", "held_back", "long_tail", "after_expiry", "hard_content",
                 "reported_three_times", "delivered_after_failed")  # fmt: skip


def with_callbacks(events: Iterable[Event], seed: int) -> Iterator[Event]:
    """The events, some receipts as callbacks and with the ids that they need."""
    converter = _Converter(Random(f"callbacks {seed}"))
    for event in events:
        yield from converter.converted(event)


class _Converter:
    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._late: list[Event] = []

    def converted(self, event: Event) -> Iterator[Event]:
        """The event, or what takes its place."""
        rng = self._rng
        if self._late and rng.random() < 0.05:
            yield self._late.pop(rng.randrange(len(self._late)))._replace(
                arrival_ms=event.arrival_ms
            )
        luck = rng.random()
        report = _report(event, rng) if event.kind == RECEIPTS and luck < SHARE else None
        if report is None:
            yield event
            return
        yield from self._links(event, report)
        yield from self._calls(event, report)

    def _links(self, event: Event, report: Fields) -> Iterator[Event]:
        """The id, where nothing else names the message: before its receipt, long after it, or
        never."""
        if report["reference"]:
            return
        fields: Fields = json.loads(event.value or b"")
        if self._rng.random() < LOST_ID:
            report["provider_message_id"] = f"9{report['provider_message_id']}"
            return
        if fields["provider"] in _EARLY:
            return
        known = str(report["provider_message_id"])
        if report["provider"] == "smpp":
            known = f"{int(known):X}"
        link: Fields = {
            "account": fields["account"],
            "message_id": fields["message_id"],
            "attempt": _attempt_of(fields),
            "provider": report["provider"],
            "provider_message_id": known,
        }
        made = event._replace(kind=PROVIDER_IDS, value=to_json(link), note="")
        if self._rng.random() < LATE_ID:
            self._late.append(made)
        else:
            yield made

    def _calls(self, event: Event, report: Fields) -> Iterator[Event]:
        rng = self._rng
        provider = str(report["provider"])
        name = endpoint_name(provider, str(report["account"])).encode()
        call = event._replace(kind=CALLBACKS, key=name, value=_list(report), note="", shift=0)
        yield call
        luck = rng.random()
        if luck < DOUBLED:
            yield call._replace(note="duplicate")
        elif luck < DOUBLED + FORGERIES:
            code = code_of(provider, "")
            lie = {**report, "status": "delivered", "error_code": code, "reason": ""}
            yield call._replace(value=_list(lie), note=FORGED)
        elif luck < DOUBLED + FORGERIES + BROKEN and DIALECTS[provider].batch > 1:
            yield call._replace(note="broken:cut", expect="bad_value")
        elif luck > 1 - WITHOUT_RECEIPT and provider == "whatsapp":
            yield call._replace(value=b"[]", note="no_receipt")


def _list(report: Fields) -> bytes:
    return b"[" + to_json(report) + b"]"


def _report(event: Event, rng: Random) -> Fields | None:
    """What a callback says of a receipt; None: it has no place for it."""
    if (event.note and event.note not in _PLAIN) or event.expect or event.shift or not event.value:
        return None
    fields: dict[str, Any] = json.loads(event.value)
    name = fields.get("provider")
    if name not in ADAPTERS or fields.get("parts", 1) > 1:
        return None
    provider = ADAPTERS[name]
    status = _OUR_WORDS.get(name, {}).get(fields["status"], fields["status"])
    failed = status in ("undelivered", "rejected")
    if status not in words_of(provider) or (failed and not _explains(name, fields)):
        return None
    at = _epoch_ms(fields["occurred_at"])
    named = provider == "vonage" or (provider != "smpp" and rng.random() < 0.5)
    report: Fields = {
        "account": fields["account"],
        "provider": provider,
        "reference": _reference(fields) if named else "",
        "provider_message_id": _received_id(provider, fields["provider_message_id"]),
        "status": status,
        "occurred_at": at // 1000 * 1000 if DIALECTS[provider].seconds else at,
        "error_code": code_of(provider, fields["error_code"] if failed else ""),
        "reason": reason_of(provider, status, fields.get("reason") if failed else ""),
    }
    return report | _extras(provider, fields)


def _extras(provider: str, fields: Fields) -> Fields:
    """What only some providers write."""
    extras: Fields = {}
    if provider == "smpp":
        extras["codes"] = "gsm-map"
    if provider == "infobip" and fields.get("recipient"):
        extras["recipient"] = fields["recipient"]
    if provider in ("vonage", "infobip") and fields.get("price") is not None:
        extras |= {"price": str(fields["price"]), "currency": "EUR"}
    if provider == "vonage" and fields.get("mccmnc"):
        extras["mccmnc"] = fields["mccmnc"]
    return extras


def _reference(fields: Fields) -> str:
    attempt = f"/{fields['attempt']}" if "attempt" in fields else ""
    return f"{fields['account']}/{fields['message_id']}{attempt}"


def _explains(name: str, fields: Fields) -> bool:
    """Whether the code of a failure alone means what the receipt says."""
    family, code = _CODES[name], str(fields.get("error_code") or "")
    hard = {failure.code for failure in (*HARD[family], HARD_CONTENT[family], *REJECTED[family])}
    hard |= {table[name].code for table in (OPTED_OUT, BLOCKING) if name in table}
    soft = {failure.code for failure in SOFT[family]}
    if not code.isdecimal() or (name, code) in _UNLISTED:
        return False
    meant = "hard" if code in hard else "soft" if code in soft else ""
    return bool(meant) and fields.get("bounce") in (None, meant)


def _attempt_of(fields: Fields) -> int:
    """The attempt, which ends the id of the provider."""
    return int(str(fields["provider_message_id"])[2 + len(str(fields["message_id"])) :])


def _received_id(provider: str, written: str) -> str:
    """Ids of SMPP are numbers: decimal in receipts."""
    if provider != "smpp":
        return written
    return str(int.from_bytes(sha256(written.encode()).digest()[:7], "big"))


def _epoch_ms(written: object) -> int:
    if isinstance(written, int):
        return written
    return (datetime.fromisoformat(str(written)) - _EPOCH) // timedelta(milliseconds=1)
