"""Which message a provider's receipt is about: ids and receipts, joined in any order.

A provider names a message by an id of its own. Links (this id is that message) and receipts arrive
in any order and more than once; whichever comes first waits for the other. All joins are
commutative, associative and idempotent: replays change nothing (docs/design.md).
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final
from unicodedata import category

import msgspec

from models.callbacks import RawCallback
from models.codes import code_of
from models.contract import MAX_ATTEMPT, YEAR_2000_MS
from models.keys import message_key
from models.numbers import person_of
from models.providers.callback import Provider, ProviderReceipt, deciding_code, meaning_of
from models.providers.ids import IdRule, received_id, sent_id
from models.providers.receipts import MAX_ID
from models.time import DAY_MS
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

    @property
    def name(self) -> bytes:
        """Its origin, and as what it was read: 32 bytes."""
        return self.origin + self.digest


class Correlation(msgspec.Struct, array_like=True, gc=False):
    """What is known under one key.

    links: sorted; see `deciding_link`. waiting: receipts without a link, by time
    reported: names of those that were published as unmatched (`ReceivedReceipt.name`)
    latest: epoch ms of the newest of links and waiting receipts
    """

    version: int = 0
    links: tuple[Link, ...] = ()
    waiting: tuple[ReceivedReceipt, ...] = ()
    reported: tuple[bytes, ...] = ()
    latest: int = 0


#: A receipt may be so far ahead of its callback: a day, as in the contract, and clocks differ.
_AHEAD_MS: Final = DAY_MS - 2 * 3_600_000
#: Under one key; an id of two messages is a mistake or an attack.
MAX_LINKS: Final = 8
#: Characters of a provider's word in `receipts`: what its contract takes.
MAX_WORD: Final = 64
#: Under one key: parts, steps and repeats of one message. More are refused.
MAX_WAITING: Final = 256

_REFERENCE: Final = "reference/"

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
    state.links = links
    state.latest = _latest(state)
    return True


def add_waiting(state: Correlation, receipt: ReceivedReceipt) -> bool:
    """Whether it changes anything. Of a receipt that came twice the first counts, of a callback
    that was read again the latest reading."""
    waiting = _latest_readings((*state.waiting, receipt))
    if waiting == state.waiting:
        return False
    state.waiting = waiting
    state.latest = _latest(state)
    return True


def clear_waiting(state: Correlation) -> None:
    """All that waited is published."""
    state.waiting, state.reported = (), ()
    state.latest = _latest(state)


def unreported(state: Correlation) -> list[ReceivedReceipt]:
    """What waits and was not published as unmatched: the first of each content."""
    known = {each.digest for each in state.waiting if each.name in state.reported}
    return [each for each in distinct(state.waiting) if each.digest not in known]


def was_reported(state: Correlation, receipt: ReceivedReceipt) -> bool:
    """Whether a receipt was published as unmatched, however it was read then."""
    return any(name.startswith(receipt.origin) for name in state.reported)


def report(state: Correlation, late: Iterable[ReceivedReceipt]) -> None:
    """They are published as unmatched."""
    origins = {each.origin for each in state.waiting}
    names = {*state.reported, *(each.name for each in late)}
    state.reported = tuple(sorted(name for name in names if name[: len(name) // 2] in origins))


def deciding_link(key: bytes, state: Correlation) -> Link | None:
    """The link whose message receipts of a key are about; None: there is none, or one cannot know.

    An id is that of the first message that had it. A reference of several messages names none: it
    is that of a campaign. attempt: 0 where several attempts of the message have it
    """
    if not state.links:
        return None
    first = state.links[0]
    attempts = {link.attempt for link in state.links if link.message_id == first.message_id}
    if is_reference(key) and any(link.message_id != first.message_id for link in state.links):
        return None
    return first if len(attempts) == 1 else Link(first.at, first.message_id, 0)


def _latest(state: Correlation) -> int:
    """It follows from what is known, so that any order of records ends in the same."""
    ats = [link.at for link in state.links] + [each.received_at for each in state.waiting]
    return max(ats, default=0)


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


def problem_of(key: bytes | None, fact: Link | ReceivedReceipt) -> str:
    """Why a record of `provider-links` or `provider-receipts` is not one of ours; "": it is."""
    try:
        account, slash, rest = (key or b"").decode().partition("/")
    except UnicodeDecodeError:
        return "key: not UTF-8"
    if not slash or not account or not rest:
        return "key: account/... expected"
    if isinstance(fact, ReceivedReceipt):
        return "" if fact.received_at >= YEAR_2000_MS else "received_at: before the year 2000"
    if not _is_message_id(fact.message_id) or not 0 <= fact.attempt <= MAX_ATTEMPT or fact.at < 0:
        return "value: a message id, an attempt and a time expected"
    return ""


def join_encoded(known: bytes, read: bytes) -> bytes:
    """The join of two encoded values of one key.

    Links are those of both. What waits is what the later write has: it knows what was resolved,
    and all that an earlier owner had committed; what such an owner did not commit is read again.
    """
    one, other = decode(known), decode(read)
    later, earlier = (one, other) if _age(one) >= _age(other) else (other, one)
    for link in earlier.links:
        add_link(later, link)
    return encode(later)


def _age(state: Correlation) -> tuple[int, bytes]:
    return state.version, encode([state.waiting, state.reported])


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
    return message_key(account, f"{_REFERENCE}{reference}")


def is_reference(key: bytes) -> bool:
    """Whether a key is that of a reference; no provider has this name."""
    return key.partition(b"/")[2].startswith(_REFERENCE.encode())


def _id_key(account: str, provider: Provider, compared: str, recipient: str) -> bytes:
    whom = f"/{person_of(recipient)}" if provider.by_recipient else ""
    return message_key(account, f"{provider.name}/{compared}{whom}")


def named_by(reference: str, account: str) -> tuple[str, int] | None:
    """The message that a reference `account/message_id[/attempt]` names, and the attempt, 0: none.

    None: it is another text, or names a message of another account.
    """
    owner, slash, rest = reference.partition("/")
    message_id, _, attempt = rest.partition("/")
    if not slash or owner != account or not _is_message_id(message_id):
        return None
    if not attempt:
        return message_id, 0
    if not attempt.isascii() or not attempt.isdigit() or len(attempt) > 3:
        return None
    number = int(attempt)
    return (message_id, number) if number <= MAX_ATTEMPT else None


def _is_message_id(text: str) -> bool:
    """As the contract has it: printable, without a slash."""
    if not 1 <= len(text) <= 128 or "/" in text:
        return False
    return text.isprintable() or not any(
        (kind := category(character))[0] == "C" or kind in ("Zl", "Zp") for character in text
    )


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
        "reference": raw.reference if 0 < len(raw.reference) <= MAX_ID else receipt.reference,
        "recipient": receipt.recipient or "",
        "occurred_at": possible_time(receipt.occurred_at, raw.received_at),
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


def possible_time(occurred_at: int | None, received_at: int) -> int:
    """The time of a receipt, where the contract takes it from then on; else 0."""
    if occurred_at is None or not YEAR_2000_MS <= occurred_at <= received_at + _AHEAD_MS:
        return 0
    return occurred_at


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
        "provider_status": receipt.word[:MAX_WORD],
    }
    event |= {name: text for name, text in optional.items() if text}
    if receipt.part:
        event |= {"part": receipt.part, "parts": receipt.parts}
    if receipt.price:
        event |= {"price": receipt.price, "currency": receipt.currency}
    return message_key(account, message_id), _encode_json(event)
