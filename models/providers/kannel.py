"""Kannel: a GET of the sender's own `dlr-url`, so the parameters have the names given there."""

from collections.abc import Iterator
from typing import Final

from models.providers import smpp
from models.providers.callback import Callback, Item, Options, Provider, Unread
from models.providers.fields import epoch, first, number, parameters
from models.providers.receipts import receipt

#: Values of %d.
_STATUSES: Final = {
    "1": "delivered",
    "2": "undelivered",
    "4": "sent",
    "8": "submitted",
    "16": "rejected",
    "32": "sent",
    "34": "undelivered",
    "66": "unknown",
}
#: Names that people give to the parameters, by ours.
_NAMES: Final = {
    "id": ("id", "uuid", "message_id", "messageid", "msgid", "smsid", "myid", "mid", "dlr_id"),
    "status": ("status", "type", "dlr", "dlrtype", "dlr_type", "d"),
    "text": ("answer", "reply", "dlr_text", "text", "msg", "smscmsg", "a"),
    "to": ("to", "receiver", "recipient", "phone", "msisdn", "p"),
    "time": ("ts", "time", "timestamp", "t"),
}


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    fields, chosen = parameters(callback), options.parameters
    found = {
        ours: first(fields, *((chosen[ours],) if ours in chosen else theirs))
        for ours, theirs in _NAMES.items()
    }
    word, code, codes = found["status"], "", "kannel"
    status = _STATUSES.get(word, "")
    # %A has the network's own receipt; 2 alone folds five endings together.
    text = smpp.fields_of(found["text"].replace("+", " "))
    if word == "2" and "stat" in text:
        word, code, codes, status = text["stat"], text.get("err", ""), "smpp", ""
    elif status in ("undelivered", "rejected"):
        code = word
    elif not status and word:
        yield Unread(f"status: {word[:32]!r} is not a value of %d", found["id"])
        return
    yield receipt(
        "kannel",
        options,
        provider_message_id=found["id"],
        id_field="id",
        word=word,
        word_field="status",
        status=status,
        recipient=number(found["to"]),
        error_code=code,
        when=epoch(found["time"]),
        codes=codes,
    )


PROVIDER: Final = Provider(
    name="kannel",
    title="Kannel",
    read=_read,
    setup="`dlr-url` with `status=%d&id=…&ts=%T&answer=%A`, and `dlr-mask=31`; other names go to "
    "`parameters`.",
    reference="nothing; put account and message id into the URL.",
    missing="the cause of status 2, unless the URL has %A.",
    source="https://www.kannel.org/download/1.4.5/userguide-1.4.5/userguide.html#delivery-reports",
)
