"""Jasmin's HTTP callbacks: level 1 is the answer to the submit, level 2 the receipt."""

from collections.abc import Iterator
from typing import Final

from models.providers.callback import Callback, Item, Options, Provider
from models.providers.fields import digits_time, first, parameters
from models.providers.receipts import receipt


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    fields = parameters(callback)
    word = first(fields, "message_status", "status")
    refused = word.startswith("ESME_") and word != "ESME_ROK"
    yield receipt(
        "jasmin",
        options,
        provider_message_id=first(fields, "id"),
        id_field="id",
        word=word,
        word_field="message_status",
        status="rejected" if refused else "",
        error_code=word if refused else first(fields, "err"),
        when=digits_time(first(fields, "donedate"), options.zone),
    )


PROVIDER: Final = Provider(
    name="jasmin",
    title="Jasmin",
    read=_read,
    setup="`dlr-url` with `dlr-level` 3 and `dlr-method` POST.",
    reference="nothing; put account and message id into the URL.",
    missing="the recipient; receipts more than a day after the send: Jasmin does not pass them on.",
    source="https://docs.jasminsms.com/en/latest/apis/ja-http/index.html#receiving-dlr",
)
