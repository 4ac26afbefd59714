"""Which message a provider's receipt is about: ids and receipts, joined in any order.

A provider names a message by an id of its own. Links (this id is that message) and receipts arrive
in any order and more than once; whichever comes first waits for the other. The join is a union, so
it is commutative, associative and idempotent: replays change nothing (docs/design.md).
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

import msgspec

from models.callbacks import RawCallback
from models.codes import code_of
from models.keys import message_key
from models.numbers import person_of
from models.providers.callback import Provider, ProviderReceipt, deciding_code, meaning_of
from models.providers.ids import IdRule, received_id, sent_id
from models.versions import check_version


class Link(msgspec.Struct, array_like=True, frozen=True, gc=False, order=True):
    """An id of a provider is this attempt of this message. at: epoch ms of its record

    attempt 0: not named.
    """

    at: int
    message_id: str
    attempt: int


class ReceivedReceipt(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=True):
    """A provider's receipt as it waits for its message; "" and 0: not given. Times in epoch ms.

    digest: of its content: the same receipt has the same one, however often it came
    origin: of the callback's bytes and its place in it: the same however it is read
    reading: when the callback was read again, epoch ms; 0: as it came. The latest one counts
    keys: under how many keys it waits
    bounce, scope: where no code of the table decides them
    """

    received_at: int
    digest: bytes
    origin: bytes
    reading: int
    endpoint: str
    keys: int
    status: str
    word: str
    bounce: str
    scope: str
    error_code: str
    words: str
    provider: str
    provider_message_id: str
    reference: str
    recipient: str
    occurred_at: int
    part: int
    parts: int
    mccmnc: str
    price: str
    currency: str


class Correlation(msgspec.Struct, array_like=True, gc=False):
    """What is known under one key.

    links: sorted; the first decides. waiting: receipts without a link, by time
    reported: digests of those that were published as unmatched
    latest: epoch ms of the newest record about it
    """

    version: int = 0
    links: tuple[Link, ...] = ()
    waiting: tuple[ReceivedReceipt, ...] = ()
    reported: tuple[bytes, ...] = ()
    latest: int = 0


#: Under one key; an id of two messages is a mistake or an attack.
MAX_LINKS: Final = 8
#: Under one key: parts, steps and repeats of one message. More are refused.
MAX_WAITING: Final = 256

encode: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder(Correlation).decode
decode_receipt: Final = msgspec.msgpack.Decoder(ReceivedReceipt).decode
decode_link: Final = msgspec.msgpack.Decoder(Link).decode
_encode_json: Final = msgspec.json.Encoder().encode


def check_record(key: bytes, value: bytes) -> None:
    """Raises DecodeError or ValueError unless a record of the changelog is one of ours."""
    check_version(decode(value).version)


# --- joining ------------------------------------------------------------------------------------


def add_link(state: Correlation, link: Link) -> bool:
    """Whether it is new. Of equal ones the earliest record counts."""
    known = {(each.message_id, each.attempt): each for each in state.links}
    name = (link.message_id, link.attempt)
    if name in known and known[name] <= link:
        return False
    known[name] = link
    links = tuple(sorted(known.values())[:MAX_LINKS])
    if links == state.links:
        return False
    state.links, state.latest = links, max(state.latest, link.at)
    return True


def add_waiting(state: Correlation, receipt: ReceivedReceipt) -> bool:
    """Whether it changes anything. Of a receipt that came twice the first counts, of a callback
    that was read again the latest reading."""
    waiting = _latest_readings((*state.waiting, receipt))
    if waiting == state.waiting:
        return False
    state.waiting, state.latest = waiting, max(state.latest, receipt.received_at)
    return True


def _latest_readings(receipts: Iterable[ReceivedReceipt]) -> tuple[ReceivedReceipt, ...]:
    """By time. A union by origin, so a join: that one content came from two origins does not matter
    here, but where receipts are published."""
    receipts, readings = list(receipts), dict[bytes, int]()
    for each in receipts:
        readings[each.origin] = max(each.reading, readings.get(each.origin, 0))
    kept: dict[tuple[bytes, bytes], ReceivedReceipt] = {}
    for each in receipts:
        if each.reading == readings[each.origin]:
            known = kept.setdefault((each.origin, each.digest), each)
            if each.received_at < known.received_at:
                kept[each.origin, each.digest] = each
    return tuple(sorted(kept.values(), key=_order))


def _order(receipt: ReceivedReceipt) -> tuple[int, bytes, bytes]:
    return receipt.received_at, receipt.digest, receipt.origin


def distinct(receipts: Iterable[ReceivedReceipt]) -> list[ReceivedReceipt]:
    """The first of each content."""
    first: dict[bytes, ReceivedReceipt] = {}
    for each in receipts:
        first.setdefault(each.digest, each)
    return list(first.values())


def join_encoded(known: bytes, read: bytes) -> bytes:
    """The join of two encoded values of one key.

    One owner's later write holds all that its earlier one has, or has published it: joined, it
    would be published again at every restart.
    """
    one, other = decode(known), decode(read)
    if one.version >> 32 == other.version >> 32:
        return read if other.version >= one.version else known
    for link in other.links:
        add_link(one, link)
    for receipt in other.waiting:
        add_waiting(one, receipt)
    one.reported = tuple(sorted({*one.reported, *other.reported}))
    one.version = max(one.version, other.version)
    one.latest = max(one.latest, other.latest)
    return encode(one)


# --- keys -----------------------------------------------------------------------------------------


def link_key(
    account: str, provider: Provider, provider_message_id: str, recipient: str, ids: list[IdRule]
) -> bytes:
    """The key of a link. recipient: "" where it is not known"""
    compared = sent_id(provider_message_id, ids)
    return _id_key(account, provider, compared, recipient)


def receipt_keys(
    account: str, provider: Provider, receipt: ReceivedReceipt, ids: list[IdRule]
) -> Iterator[bytes]:
    """The keys under which a receipt waits: of its reference, and of its id."""
    if receipt.reference:
        yield reference_key(account, receipt.reference)
    if receipt.provider_message_id:
        compared = received_id(receipt.provider_message_id, ids)
        yield _id_key(account, provider, compared, receipt.recipient)


def reference_key(account: str, reference: str) -> bytes:
    """The key of a sender's own reference."""
    return message_key(account, f"reference/{reference}")


def _id_key(account: str, provider: Provider, compared: str, recipient: str) -> bytes:
    whom = f"/{person_of(recipient)}" if provider.by_recipient else ""
    return message_key(account, f"{provider.name}/{compared}{whom}")


def named_by(reference: str, account: str) -> tuple[str, int] | None:
    """The message that a reference `account/message_id[/attempt]` names, and the attempt, 0: none.

    None: it is another text, or names a message of another account.
    """
    owner, slash, rest = reference.partition("/")
    message_id, _, attempt = rest.partition("/")
    if not slash or owner != account or not 1 <= len(message_id) <= 128:
        return None
    if not attempt:
        return message_id, 0
    if not attempt.isascii() or not attempt.isdigit() or len(attempt) > 3:
        return None
    return message_id, int(attempt)


# --- receipts -------------------------------------------------------------------------------------


def received(receipt: ProviderReceipt, raw: RawCallback, origin: bytes) -> ReceivedReceipt:
    """A receipt of a callback. origin: its own among those of the callback"""
    status, bounce, scope = meaning_of(receipt)
    decides = receipt.error_code and code_of(receipt.codes, receipt.error_code) is not None
    if decides or (deciding_code(receipt) is None and scope != "time"):
        bounce, scope = receipt.bounce, receipt.scope  # its code decides, also where it is unknown
    fields: dict[str, Any] = {
        "endpoint": raw.endpoint,
        "status": status,
        "word": receipt.word,
        "bounce": bounce,
        "scope": scope,
        "error_code": receipt.error_code or "",
        "words": receipt.words,
        "provider": receipt.codes,
        "provider_message_id": receipt.provider_message_id,
        "reference": raw.reference or receipt.reference,
        "recipient": receipt.recipient or "",
        "occurred_at": receipt.occurred_at or 0,
        "part": receipt.part,
        "parts": receipt.parts,
        "mccmnc": receipt.mccmnc,
        "price": receipt.price,
        "currency": receipt.currency,
    }
    digest = blake2b(_encode_json(list(fields.values())), digest_size=16).digest()
    return ReceivedReceipt(
        received_at=raw.received_at,
        digest=digest,
        origin=origin,
        reading=raw.replayed_at,
        keys=bool(fields["reference"]) + bool(receipt.provider_message_id),
        **fields,
    )


def event_of(
    receipt: ReceivedReceipt, account: str, message_id: str, attempt: int
) -> tuple[bytes, bytes]:
    """Key and value of the record of `receipts`. attempt: 0: not known"""
    event: dict[str, object] = {
        "account": account,
        "message_id": message_id,
        "status": receipt.status,
        "occurred_at": receipt.occurred_at or receipt.received_at,
        "received_at": receipt.received_at,
        "provider": receipt.provider,
    }
    if attempt:
        event["attempt"] = attempt
    optional = {
        "bounce": receipt.bounce,
        "scope": receipt.scope,
        "error_code": receipt.error_code,
        "reason": receipt.words or receipt.word,
        "provider_message_id": receipt.provider_message_id,
        "recipient": receipt.recipient,
        "mccmnc": receipt.mccmnc,
    }
    event |= {name: text for name, text in optional.items() if text}
    if receipt.part:
        event |= {"part": receipt.part, "parts": receipt.parts}
    if receipt.price:
        event |= {"price": receipt.price, "currency": receipt.currency}
    return message_key(account, message_id), _encode_json(event)


def unmatched_row(
    account: str, receipt: ReceivedReceipt, at_ms: int, message_id: str = ""
) -> tuple[bytes, bytes]:
    """Key and value of a record of `unmatched-receipts`: a receipt without its message.

    message_id: it was found after all. Of the records of a receipt one with a message counts, for
    it may also wait under another key, or have been read under one.
    """
    row = {
        "account": account,
        "id": receipt.origin.hex(),
        "at": at_ms,
        "message_id": message_id,
        "endpoint": receipt.endpoint,
        "provider": receipt.provider,
        "provider_message_id": receipt.provider_message_id,
        "reference": receipt.reference,
        "recipient": receipt.recipient,
        "status": receipt.status,
        "word": receipt.word,
        "error_code": receipt.error_code,
        "received_at": receipt.received_at,
        "occurred_at": receipt.occurred_at or None,
    }
    return message_key(account, receipt.origin.hex()), _encode_json(row)
