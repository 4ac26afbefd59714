"""What became of a callback: its receipts, the keys under which they wait, their messages."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from deploy.cli.callback_files import shown_item
from deploy.kafka.callbacks_client import (
    DeadLetter,
    KeptCallback,
    Known,
    Position,
    callback_at,
    dead_letters_of,
    known_under,
)
from models.callbacks import RawCallback
from models.correlation import (
    Correlation,
    ReceivedReceipt,
    deciding_link,
    named_by,
    receipt_keys,
    was_reported,
)
from models.endpoints import Endpoint, EndpointsFile
from models.reading import ReadItem, read_callback
from models.settings import Settings
from models.time import DAY_MS, rfc3339

_STATES: Final = "the changelog of the workers"
_LETTERS: Final = "dead letters"

OnStep = Callable[[str, int, int], None]


async def explanation(
    settings: Settings, file: EndpointsFile, position: Position, on_step: OnStep
) -> dict[str, Any]:
    """As the JSON of the command has it. Raises CommandError where there is no callback."""
    kept = await callback_at(settings, position)
    endpoint = file.endpoints.get(kept.raw.endpoint)
    items = [] if endpoint is None or kept.fault else read_callback(kept.raw, endpoint)
    keys = set[bytes]()
    if endpoint is not None:
        waiting = [each.receipt for each in items if each.receipt is not None]
        keys = {
            key for each in waiting if not _named(each, endpoint) for key in _keys(each, endpoint)
        }
    known = Known({}, {}, {})
    if keys:
        known = await known_under(settings, keys, partial(on_step, _STATES))
    letters, read = await dead_letters_of(settings, kept, partial(on_step, _LETTERS))
    return {
        **_head(kept, endpoint),
        "items": [_item(each, kept.raw, endpoint, known, settings) for each in items if endpoint],
        "dead_letters": [_letter(each) for each in letters],
        "read": {
            "provider-correlations": [
                {"partition": partition, "records": count}
                for partition, count in known.read.items()
            ],
            "dead-letters": [{"partition": position.partition, "records": read}],
        },
    }


def _head(kept: KeptCallback, endpoint: Endpoint | None) -> dict[str, Any]:
    refused = kept.fault
    if endpoint is None and not refused:
        refused = f"header endpoint: {kept.raw.endpoint!r} is not in the file of endpoints"
    return {
        "position": str(kept.position),
        "received_at": rfc3339(kept.raw.received_at),
        "replayed_at": rfc3339(kept.raw.replayed_at) if kept.raw.replayed_at else None,
        "endpoint": kept.raw.endpoint,
        "provider": endpoint.provider if endpoint is not None else None,
        "account": endpoint.account if endpoint is not None else None,
        "verified": kept.raw.verified,
        "refused": refused or None,
    }


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "position": f"{letter.partition}:{letter.offset}",
        "reason": letter.reason,
        "detail": letter.detail,
    }


def _named(receipt: ReceivedReceipt, endpoint: Endpoint) -> tuple[str, int] | None:
    return named_by(receipt.reference, endpoint.account)


def _keys(receipt: ReceivedReceipt, endpoint: Endpoint) -> list[bytes]:
    return list(receipt_keys(endpoint.account, endpoint.adapter, receipt, endpoint.ids))


def _item(
    read: ReadItem, raw: RawCallback, endpoint: Endpoint, known: Known, settings: Settings
) -> dict[str, Any]:
    shown = {name: value for name, value in shown_item(read.item).items() if value is not None}
    receipt = read.receipt
    if receipt is None:
        shown = {"refused": read.fault} if read.error is not None else shown
        return {"read_as": shown, "found_by": None, "message": None, "keys": []}
    if (named := _named(receipt, endpoint)) is not None:
        way = "reference in the URL" if raw.reference else "reference that the provider repeats"
        return {"read_as": shown, "found_by": way, "message": _message(*named), "keys": []}
    ways = ["reference of the send"] if receipt.reference else []
    ways += ["id of the provider"] if receipt.provider_message_id else []
    keys = _keys(receipt, endpoint)
    rows = [_key(key, receipt, known, settings) for key in keys]
    found = [(way, row["link"]) for way, row in zip(ways, rows, strict=True) if row["link"]]
    by, message = found[0] if found else (None, None)
    return {"read_as": shown, "found_by": by, "message": message, "keys": rows}


def _message(message_id: str, attempt: int) -> dict[str, Any]:
    return {"message_id": message_id, "attempt": attempt or None}


def _key(key: bytes, receipt: ReceivedReceipt, known: Known, settings: Settings) -> dict[str, Any]:
    """A key under which a receipt waits or has waited; `link` is the message that it leads to."""
    state = known.correlations.get(key) or Correlation()
    link = deciding_link(key, state)
    here = [each for each in state.waiting if each.origin == receipt.origin]
    since = here[0].received_at if here else 0
    reported = any(was_reported(state, each) for each in here)
    return {
        "key": key.decode(),
        "partition": known.partitions[key],
        "link": _message(link.message_id, link.attempt) if link is not None else None,
        "linked_at": rfc3339(link.at) if link is not None else None,
        "waits_since": rfc3339(since) if here else None,
        "waits_as": [each.status for each in here],
        "unmatched": reported,
        "unmatched_from": rfc3339(since + settings.unmatched_days * DAY_MS) if here else None,
    }


# --- as text --------------------------------------------------------------------------------------


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The explanation for a terminal."""
    who = f"{found['provider']}, account {found['account']}" if found["provider"] else "not known"
    replayed = f", a copy of {found['replayed_at']}" if found["replayed_at"] else ""
    yield f"{found['position']}  {found['received_at']}  {found['endpoint']} ({who}){replayed}"
    if found["refused"]:
        yield f"refused: {found['refused']}"
    items = found["items"]
    if not items and not found["refused"]:
        yield "nothing is in it"
    for number, item in enumerate(items, 1):
        yield f"{number} of {len(items)}"
        yield from _lines_of(item, found["account"])
    for letter in found["dead_letters"]:
        text = f"{letter['reason']}: {letter['detail']}"
        yield f"dead letter {letter['position']}  {text}"
    for topic, partitions in found["read"].items():
        for each in partitions:
            yield f"read: partition {each['partition']} of {topic}, {each['records']} records"


def _lines_of(item: Mapping[str, Any], account: str) -> Iterator[str]:
    for name, value in item["read_as"].items():
        yield f"  {name:20}{value}"
    if item["message"]:
        attempt = item["message"]["attempt"]
        which = f", attempt {attempt}" if attempt else ""
        message = f"{account}/{item['message']['message_id']}{which}"
        yield f"  {'message':20}{message}, by the {item['found_by']}"
    elif item["keys"]:
        yield f"  {'message':20}not known"
    elif "refused" not in item["read_as"]:
        yield f"  {'message':20}none: it has neither an id nor a reference"
    for key in item["keys"]:
        yield f"  {'key':20}{key['key']}: {_key_in_words(key)}"


def _key_in_words(key: Mapping[str, Any]) -> str:
    if key["link"]:
        return f"linked since {key['linked_at']}"
    if not key["waits_since"]:
        return "nothing waits: not read yet, or forgotten"
    as_what = ", ".join(key["waits_as"])
    state = (
        "reported as unmatched" if key["unmatched"] else f"unmatched from {key['unmatched_from']}"
    )
    return f"waits since {key['waits_since']} as {as_what}, {state}"
