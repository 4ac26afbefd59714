"""Making a receipt of the fields that an adapter has found."""

from collections.abc import Mapping
from types import MappingProxyType

from models.providers.callback import Options, ProviderReceipt, Unread, status_of
from models.providers.fields import NEVER, When

#: Longer ones cannot be published (models/contract.py). No send has a longer reference.
MAX_ID, MAX_CODE, MAX_WORDS = 256, 64, 1_024


def receipt(
    provider: str,
    options: Options,
    *,
    provider_message_id: str,
    id_field: str,
    word: str,
    word_field: str,
    own: Mapping[str, str] = MappingProxyType({}),
    status: str = "",
    reference: str = "",
    recipient: str | None = None,
    bounce: str = "",
    scope: str = "",
    error_code: str = "",
    words: str = "",
    when: When = NEVER,
    part: int = 0,
    parts: int = 0,
    mccmnc: str = "",
    price: str = "",
    currency: str = "",
    codes: str = "",
) -> ProviderReceipt | Unread:
    """A receipt, or why it cannot be used: it names no message, or no status.

    own: the provider's meanings of its status words (`by_key`), before those of `models/codes`
    status: where more than the word decides; "": the word does
    codes: its table of codes, where it is not the provider's
    """
    if len(reference) > MAX_ID:
        reference = ""
    if not provider_message_id and not reference:
        return Unread(f"{id_field}: missing, and no reference of the sender")
    if len(provider_message_id) > MAX_ID:
        return Unread(f"{id_field}: at most {MAX_ID} characters expected")
    if not word and not status:
        return Unread(f"{word_field}: missing", provider_message_id)
    word = word[:MAX_CODE]
    if not parts or part > parts:
        part = parts = 0
    return ProviderReceipt(
        provider=provider,
        provider_message_id=provider_message_id,
        status=status or status_of(word, options, own),
        word=word,
        codes=options.codes or codes or provider,
        bounce=bounce,
        scope=scope,
        reference=reference,
        recipient=recipient,
        error_code=error_code[:MAX_CODE] or None,
        words=words[:MAX_WORDS],
        occurred_at=when.at,
        local_time=when.local,
        part=part,
        parts=parts if part else 0,
        mccmnc=mccmnc,
        price=price,
        currency=currency,
    )
