"""The real worker or sink with faults whose errors quote what people wrote.

`python -m tests.support.poisoned FAULT worker|sink` with FAULT one of
  rules   some rules of both agents raise; their errors have the whole state, number included
  crash   an error that nothing catches, with whole records in its text
Nothing else is changed.
"""

import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import sinks.run
import streams.lifecycle.shard
import streams.suppression.shard
from deploy.cli import main
from streams.common.agent import PartitionAgent

#: Every so many calls of a rule raise.
EACH = 7


def _raising(rule: Callable[..., Any]) -> Callable[..., Any]:
    calls = count(1)

    def called(*arguments: Any) -> Any:
        if next(calls) % EACH == 0:
            raise ValueError(f"cannot use {arguments!r}")
        return rule(*arguments)

    return called


def _rules() -> None:
    for module in (streams.lifecycle.shard, streams.suppression.shard):
        module.encode = _raising(module.encode)  # type: ignore[attr-defined]


def _crash() -> None:
    async def deliver(_: Any, __: Any, plan: Any) -> None:
        raise RuntimeError(f"cannot deliver {plan.changes!r}")

    def mapped(records: Any, _: int) -> None:
        raise KeyError(repr(records))

    PartitionAgent._deliver = deliver  # type: ignore[method-assign, assignment]
    setattr(sinks.run, "map_records", mapped)  # noqa: B010  (it is not exported)


if __name__ == "__main__":
    {"rules": _rules, "crash": _crash}[sys.argv[1]]()
    sys.argv = ["receipts", sys.argv[2]]
    main()
