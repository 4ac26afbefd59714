"""Tencent Cloud: lists of receipts with the words of SMPP."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.providers.callback import Callback, Item, Options, Provider
from models.providers.fields import first, json_of, number, objects, time_of
from models.providers.receipts import receipt


def _read(callback: Callback, options: Options) -> Iterator[Item]:
    for report in objects(json_of(callback)):
        yield _report(report, options)


def _report(report: Mapping[str, Any], options: Options) -> Item:
    word, failed = first(report, "report_status"), first(report, "report_status") != "SUCCESS"
    country, national = first(report, "nationcode"), first(report, "mobile")
    return receipt(
        "tencent",
        options,
        provider_message_id=first(report, "sid"),
        id_field="sid",
        word=word,
        word_field="report_status",
        reference=first(report, "ext"),
        recipient=number(f"+{country.lstrip('+')}{national}") if national.isdecimal() else None,
        error_code=first(report, "errmsg") if failed else "",
        words=first(report, "description") if failed else "",
        when=time_of(report.get("user_receive_time"), options.zone),
    )


PROVIDER: Final = Provider(
    name="tencent",
    title="Tencent Cloud",
    read=_read,
    setup="the callback URL for delivery receipts of the application.",
    reference="`ext`.",
    missing="the zone of its times (Asia/Shanghai), the network, the price.",
    source="https://www.tencentcloud.com/document/api/382/43547",
)
