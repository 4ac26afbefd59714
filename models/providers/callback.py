"""What callbacks of providers are read from and into."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from models.codes import code_of, status_of_word
from models.codes.reasons import BARRED, NOT_ON_WHATSAPP, UNKNOWN_SUBSCRIBER
from models.codes.tables import Code, status_key
from models.failures import BOUNCING, code_in, failure_of
from models.vocabulary import UNKNOWN_WORD, Bounce, Status

#: A hard bounce for one of these is a number that is dead or unfit: undelivered. For any other
#: reason it is refused: rejected.
_UNFIT: Final = frozenset({UNKNOWN_SUBSCRIBER, BARRED, NOT_ON_WHATSAPP})


_WORD: Final = {status.value: status.word for status in Status}


class Callback(msgspec.Struct, frozen=True):
    """One request of a provider, as it came.

    query: as in its URL, without the "?"
    """

    body: bytes = b""
    content_type: str = ""
    query: str = ""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an endpoint reads what the provider leaves open.

    zone: IANA name of the zone of times without one; "": such times are not known
    codes: name of the table of codes; "": the provider's own
    statuses: meanings of the provider's status words on this route, before our own, by `by_key`
    parameters: names of parameters that the sender has chosen, by our names
    """

    zone: str = ""
    codes: str = ""
    statuses: Mapping[str, str] = {}
    parameters: Mapping[str, str] = {}


class ProviderReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as a provider gives it.

    status: our word for `word`, the provider's; "unknown" decides nothing
    bounce, scope: as the provider gives them; "": its code decides
    reference: the sender's own, which the provider repeats
    codes: name of the table of codes
    occurred_at: epoch ms; None: not known
    local_time: an ISO time without zone, as the provider gives it
    part, parts: of a long message; 0: the receipt is about the whole
    price: a decimal number; "": not given
    """

    provider: str
    provider_message_id: str
    status: str
    word: str
    codes: str
    bounce: str = ""
    scope: str = ""
    reference: str = ""
    recipient: str | None = None
    error_code: str | None = None
    words: str = ""
    occurred_at: int | None = None
    local_time: str | None = None
    part: int = 0
    parts: int = 0
    mccmnc: str = ""
    price: str = ""
    currency: str = ""


class Unread(NamedTuple):
    """A receipt, or a whole callback, that cannot be used.

    reason: the field and its problem
    provider_message_id: as far as it is known
    """

    reason: str
    provider_message_id: str = ""


class Inbound(NamedTuple):
    """A message to us in the same callback. at: epoch ms; None: not known"""

    provider_message_id: str
    sender: str
    text: str
    at: int | None


class Other(NamedTuple):
    """What is neither a receipt nor a mistake. what: in words"""

    what: str


Item = ProviderReceipt | Unread | Inbound | Other


class Provider(msgspec.Struct, frozen=True):
    """An adapter: how a provider's callbacks are read, and what its users have to know.

    read: callback and options → items in their order; it may raise, see `read` of this package
    codes: its table of codes
    by_recipient: its message ids are unique only together with the recipient
    setup: what to set at the provider. reference: what it repeats of the sender's own
    missing: what its receipts lack. source: of the format
    """

    name: str
    title: str
    read: Callable[[Callback, Options], Iterator[Item]]
    setup: str
    reference: str
    missing: str
    source: str
    codes: str = ""
    by_recipient: bool = False
    aliases: tuple[str, ...] = ()


class Meaning(NamedTuple):
    """What a receipt comes to. bounce, scope: "" for none"""

    status: str
    bounce: str
    scope: str


def by_key(meanings: Mapping[str, str]) -> Mapping[str, str]:
    """Meanings of status words, by the words without case and punctuation."""
    return {status_key(theirs): ours for theirs, ours in meanings.items()}


def status_of(word: str, options: Options, own: Mapping[str, str]) -> str:
    """Our word for a provider's: by the endpoint, by its adapter (`by_key`), by the list of all."""
    key = status_key(word)
    return options.statuses.get(key) or own.get(key) or status_of_word(word) or UNKNOWN_WORD


def meaning_of(receipt: ProviderReceipt) -> Meaning:
    """Status, bounce and scope as the codes tables explain them."""
    if receipt.status not in BOUNCING:
        return Meaning(receipt.status, "", "")
    code = deciding_code(receipt)
    key = code.code if code is not None else receipt.error_code or ""
    scope = receipt.scope
    if not scope and code is None and "expired" in status_key(receipt.word):
        scope = "time"
    failure = failure_of(
        receipt.status, receipt.bounce, scope, receipt.codes, key, receipt.words, None
    )
    if failure.bounce != Bounce.HARD:
        return Meaning(Status.UNDELIVERED.word, "soft", failure.scope)
    status = _WORD[failure.status]
    if code is not None and code.bounce == "hard":
        unfit = failure.scope == "recipient" and code.reason in _UNFIT
        status = (Status.UNDELIVERED if unfit else Status.REJECTED).word
    return Meaning(status, "hard", failure.scope)


def deciding_code(receipt: ProviderReceipt) -> Code | None:
    """What explains a failure: its code, else its status word, else its words, if it is a code."""
    for code in (receipt.error_code, receipt.word, code_in(receipt.words)):
        if code and (known := code_of(receipt.codes, code)) is not None:
            return known
    return None
