"""How long each adapter works on the worst megabyte that an endpoint may get.

python -m tests.bench.adapters [--provider NAME]
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from models.providers import ADAPTERS, read
from models.providers.callback import Callback, Options
from tests.models.providers.samples import SAMPLES_BY_PROVIDER

SIZE: Final = 1_000_000
FORM: Final = "application/x-www-form-urlencoded"
REPEATS: Final = 3


def worst_cases(provider: str) -> Iterator[tuple[str, Callback]]:
    """What it is, and a callback of a megabyte."""
    yield "nothing, deep", Callback(b"[" * SIZE)
    yield "deep objects", Callback(b'{"a":' * (SIZE // 5))
    yield "empty objects", Callback(_list(b"{}"))
    yield "other values", Callback(_list(b"1"))
    yield "escapes", Callback(b"a=" + b"%41" * (SIZE // 3), FORM)
    yield "fields", Callback(b"&".join(b"f%d=" % at + b"%C4" * 330 for at in range(999)), FORM)
    yield "separators", Callback(b"&" * SIZE, FORM)
    yield "not UTF-8", Callback(b'{"a":"' + b"\xff" * SIZE + b'"}')
    yield "keys of a receipt's text", Callback(b" id: stat:" * (SIZE // 10), "text/plain")
    for sample in SAMPLES_BY_PROVIDER[provider]:
        callback = sample.callback
        if callback.body.lstrip()[:1] in (b"{", b"["):
            yield from _of_json(json.loads(callback.body))
        else:
            yield from _of_form(callback.body or callback.query.encode(), callback.content_type)


def _list(item: bytes) -> bytes:
    return b"[" + b",".join([item] * (SIZE // (len(item) + 1))) + b"]"


def _of_json(value: Any) -> Iterator[tuple[str, Callback]]:
    for place, changed in _places(value):
        for name, text in _TEXTS.items():
            yield f"{name} in {place}", Callback(json.dumps(changed(text)).encode())
        for name, values in _LISTS.items():
            yield f"{name} in {place}", Callback(json.dumps(changed(values)).encode())
    for place, changed, found in _lists(value):
        many = found * (SIZE // max(2, len(json.dumps(found))))
        yield f"repeated {place}", Callback(json.dumps(changed(many)).encode())
        half = SIZE // 2
        some = found * (half // max(2, len(json.dumps(found))))
        wide = {f"k{at}": 0 for at in range(half // 11)}
        if isinstance(value, dict):
            both = {**changed(some), **wide}
            yield f"repeated {place}, wide", Callback(json.dumps(both).encode())
    yield "repeated", Callback(_list(json.dumps(value).encode()))


_TEXTS: Final = {
    "a text": "x" * SIZE,
    "digits": "1" * SIZE,
    "no letters": ".\u2003" * (SIZE // 8),
    "separated": "4 4-7(0)" * (SIZE // 8),
    "bad escapes": "\ud800" * (SIZE // 6),
    "receipts": "id:1 stat:DELIVRD " * (SIZE // 18),
}
_LISTS: Final = {
    "values": [1] * (SIZE // 3),
    "objects": [{}] * (SIZE // 4),
    "keys": {f"k{at}": 0 for at in range(SIZE // 12)},
}

Change = Callable[[Any], Any]


def _in_object(value: dict[str, Any], key: str, change: Change, new: Any) -> Any:
    return {**value, key: change(new)}


def _in_list(value: list[Any], change: Change, new: Any) -> Any:
    return [change(new), *value[1:]]


def _itself(new: Any) -> Any:
    return new


def _places(value: Any, path: str = "") -> Iterator[tuple[str, Change]]:
    """Each leaf, and how to change it."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            for place, change in _places(each, f"{path}.{key}"):
                yield place, partial(_in_object, value, key, change)
    elif isinstance(value, list) and value:
        for place, change in _places(value[0], f"{path}[]"):
            yield place, partial(_in_list, value, change)
    else:
        yield path, _itself


def _lists(value: Any, path: str = "") -> Iterator[tuple[str, Change, list[Any]]]:
    """Each list that is not empty, and how to change it."""
    if isinstance(value, dict):
        for key, each in value.items():
            for place, change, found in _lists(each, f"{path}.{key}"):
                yield place, partial(_in_object, value, key, change), found
    elif isinstance(value, list) and value:
        yield path, _itself, value
        for place, change, found in _lists(value[0], f"{path}[]"):
            yield place, partial(_in_list, value, change), found


def _of_form(content: bytes, kind: str) -> Iterator[tuple[str, Callback]]:
    for pair in content.split(b"&"):
        name = pair.partition(b"=")[0]
        for what, text in (("a", b"x"), ("spaces", b"+"), ("escapes", b"%E2%80%83")):
            long = name + b"=" + text * (SIZE // len(text))
            rest = b"&".join(each for each in content.split(b"&") if each != pair)
            yield f"{what} in {name.decode()[:24]}", Callback(rest + b"&" + long, kind)
    yield "repeated", Callback(b"&".join([content] * (SIZE // (len(content) + 1))), kind)


def slowest(provider: str) -> tuple[float, str, int]:
    """Milliseconds of its slowest case, the case, and the number of items in it."""
    found = (0.0, "", 0)
    adapter, options = ADAPTERS[provider], Options(zone="Europe/London")
    for name, callback in worst_cases(provider):
        taken, items = [], 0
        for _ in range(REPEATS):
            began = time.process_time()
            items = len(read(adapter, callback, options))
            taken.append(time.process_time() - began)
        found = max(found, (min(taken) * 1_000, name, items))
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", choices=ADAPTERS, action="append")
    table = Table("adapter", "slowest, ms", "of it", "items", title="a megabyte, read")
    for provider in parser.parse_args().provider or ADAPTERS:
        milliseconds, name, items = slowest(provider)
        table.add_row(provider, f"{milliseconds:.1f}", name, str(items))
    Console().print(table)


if __name__ == "__main__":
    main()
