"""SMPP receipts: `deliver_sm` as JSON, and the text of `short_message` in its dialects."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Other, Provider, Unread, by_key
from models.providers.fields import (
    NEVER,
    When,
    digits_time,
    first,
    is_json,
    json_of,
    mccmnc,
    number,
    object_of,
    objects,
    text,
    whole,
)
from models.providers.receipts import receipt

#: SMPP 3.4, 5.3.2.35, with the two states of 5.0.
_STATES: Final = {
    "0": "SCHEDULED",
    "1": "ENROUTE",
    "2": "DELIVRD",
    "3": "EXPIRED",
    "4": "DELETED",
    "5": "UNDELIV",
    "6": "ACCEPTD",
    "7": "UNKNOWN",
    "8": "REJECTD",
    "9": "SKIPPED",
}
#: As text, 0 is "delivered" of one network (Yo! Uganda); the others are read as message states.
_DIGIT_STATS: Final = {**_STATES, "0": "DELIVRD"}
_KEY: Final = re.compile(
    r"(?:^|(?<=\s))(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text|imsi|msc|hlr|orn|pon|"
    r"ron|roc|mccmnc)\s?:",
    re.IGNORECASE,
)
#: Beyond it a text is no receipt.
_MAX_TEXT: Final = 2_000
#: Vodafone UK: status, time of status, time of acceptance, error, destination, origin, id.
_CSV: Final = re.compile(r"\d\d,\d{10}(?:,[^,\n]{0,70}){5}")
_CSV_STATUSES: Final = by_key({"00": "delivered", "01": "sent", "02": "undelivered"})
#: Bits of esm_class: a receipt, an acknowledgement or a notification.
_ESM_RECEIPT: Final = 0x3C


def fields_of(message: str) -> dict[str, str]:
    """The fields of a receipt's text, by lower-case names without separators.

    A field ends where the next one begins; the first of a name counts, since the message's own text
    may come after it.
    """
    message = message[:_MAX_TEXT]
    found: dict[str, str] = {}
    keys = list(_KEY.finditer(message))
    for at, key in enumerate(keys):
        end = keys[at + 1].start() if at + 1 < len(keys) else len(message)
        name = key[1].lower().replace(" ", "").replace("_", "")
        found.setdefault(name, text(message[key.end() : end]))
    for name in ("id", "stat", "err", "sub", "dlvrd"):
        if words := found.get(name, "").split():
            found[name] = text(words[0])
    return {name: value for name, value in found.items() if value}


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    if is_json(callback):
        for pdu in objects(json_of(callback)):
            yield _pdu(pdu, options)
    else:
        yield _text(callback.body.decode("utf-8", "replace").strip(), options)


def _text(message: str, options: Options) -> Item:
    if _CSV.fullmatch(message):
        return _csv(message.split(","), options)
    fields = fields_of(message)
    if not fields.keys() & {"id", "stat"}:
        return Other("a message to us")
    return _receipt(fields, options)


def _csv(columns: list[str], options: Options) -> Item:
    return receipt(
        "smpp",
        options,
        provider_message_id=text(columns[6]),
        id_field="column 7",
        word=columns[0],
        word_field="column 1",
        own=_CSV_STATUSES,
        recipient=number(columns[4]),
        error_code=text(columns[3]),
        when=digits_time(columns[1], options.zone),
    )


def _pdu(pdu: Mapping[str, Any], options: Options) -> Item:
    """TLVs come before the text. The receipt's source is the phone."""
    tlvs = object_of(pdu.get("tlv")) or object_of(pdu.get("tlvs")) or pdu
    fields = fields_of(first(pdu, "short_message", "message_payload"))
    fields |= {
        name: found
        for name, found in (
            ("id", first(tlvs, "receipted_message_id")),
            ("stat", _state(tlvs.get("message_state"))),
        )
        if found
    }
    if "err" not in fields and (code := _network_error(tlvs.get("network_error_code"))):
        fields["err"] = code
    if not fields.keys() & {"id", "stat"}:
        if _esm_class(pdu.get("esm_class")) & _ESM_RECEIPT:
            return Unread("short_message: neither id nor stat")
        return Other("a message to us")
    return _receipt(fields, options, number(first(pdu, "source_addr")))


def _state(value: Any) -> str:
    word = text(value)
    return _STATES.get(word, word)


def _esm_class(value: Any) -> int:
    try:
        return int(text(value), 0)
    except ValueError:
        return 0


def _network_error(value: Any) -> str:
    """Three octets, as hexadecimal digits or a list: the type of the network, and its code."""
    if isinstance(value, dict):
        return first(value, "code", "error_code")
    try:
        octets = bytes(value) if isinstance(value, list) else bytes.fromhex(text(value))
    except (ValueError, TypeError):
        return ""
    return str(int.from_bytes(octets[1:], "big")) if len(octets) == 3 else ""


def _receipt(fields: Mapping[str, str], options: Options, recipient: str | None = None) -> Item:
    stat = fields.get("stat", "")
    sub = whole(fields.get("sub", "").lstrip("0"))
    return receipt(
        "smpp",
        options,
        provider_message_id=fields.get("id", ""),
        id_field="id",
        word=_DIGIT_STATS.get(stat, stat),
        word_field="stat",
        recipient=recipient,
        error_code=fields.get("err", ""),
        when=_done(fields, options),
        mccmnc=mccmnc(fields.get("mccmnc")),
        parts=sub,
    )


def _done(fields: Mapping[str, str], options: Options) -> When:
    return digits_time(fields["donedate"], options.zone) if "donedate" in fields else NEVER


PROVIDER: Final = Provider(
    name="smpp",
    title="SMPP 3.4 and 5.0",
    read=_read,
    aliases=("smsc",),
    setup="the gateway publishes each `deliver_sm` to `callbacks`, as text or its fields as JSON.",
    reference="nothing: publish the id of `submit_sm_resp`, and name the rule by which the network "
    "changes it.",
    missing="the zone of its times; `err` has another table on each route: set `codes`.",
    source="SMPP Protocol Specification v3.4, 5.2.12, 5.3.2.35 and Appendix B",
)
