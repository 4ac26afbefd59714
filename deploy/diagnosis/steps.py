"""Reading in steps: what one step cannot read does not hide what the others can."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from aiokafka.errors import ClusterAuthorizationFailedError, KafkaConnectionError, KafkaError

from deploy.diagnosis.findings import Finding, finding
from deploy.kafka.topics import TopicsError
from models.issues import mask_url
from sinks.call_thread import CallThread
from sinks.client import ClickHouse, connect
from sinks.errors import Broken, SinkError, Unavailable
from streams.kafka.refusals import denied_right, refusal_of

T = TypeVar("T")

#: A source that has not answered by then counts as away.
SOURCE_S: Final = 8.0
#: One request to it.
REQUEST_S: Final = 4.0

_LONGEST: Final = 300
#: urllib3 wraps the reason of the system in its own texts.
_CAUSE: Final = re.compile(r"Caused by .*: (.*?)[\"']\)\)")


class Steps:
    """Steps over one source, all together within SOURCE_S. unread: those that failed, and why.

    user: that logs in to Kafka with a name
    """

    def __init__(self, user: str = "") -> None:
        self._user = user
        self.unread: list[str] = []
        self._ends = time.monotonic() + SOURCE_S

    async def take(self, name: str, reading: Awaitable[T]) -> T | None:
        """The result of a step; None when it failed or took too long."""
        try:
            async with asyncio.timeout(min(REQUEST_S, self._ends - time.monotonic())):
                return await reading
        except (KafkaError, TopicsError, OSError, NotImplementedError) as error:
            self.unread.append(f"{name}: {kafka_reason(error, self._user)}")
            return None

    def run(self, name: str, reading: Callable[[], T], expected: type[Exception]) -> T | None:
        """The result of a blocking step; None when it raised what was expected."""
        try:
            return reading()
        except expected as error:
            self.unread.append(f"{name}: {reason(error)}")
            return None


def reason(error: BaseException) -> str:
    """An error in one line; a timeout has no text of its own."""
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    text = " ".join(str(error).split()) or repr(error)
    cause = _CAUSE.search(text)
    return cause[1] if cause else text[:_LONGEST]


def kafka_reason(error: BaseException, user: str = "") -> str:
    """As reason(), for an error of Kafka: what it refuses has its fix."""
    if refused := (refusal_of(error) or denied_right(error, "READ or DESCRIBE", user)):
        return str(refused)
    if isinstance(error, KafkaConnectionError) and "bootstrap" in str(error):
        return "no connection to any broker"  # aiokafka names addresses, and no reason
    if isinstance(error, ClusterAuthorizationFailedError):
        return "Kafka denies DESCRIBE on the cluster, which no process needs"
    return reason(error)


def cannot_connect(url: str, error: SinkError | OSError, variable: str) -> Finding:
    """The finding for a ClickHouse that cannot be read. variable: the setting with its URL."""
    shown = mask_url(url.partition("?")[0])
    if urlsplit(url).scheme == "chdb":
        problem = f"{shown} is an embedded engine, and its folder is open elsewhere or missing"
        fix = "ask the pages of the sink that has it open; `receipts migrate` makes a new one"
        return finding("clickhouse_refused", "warning", variable, problem, fix)
    if isinstance(error, Unavailable | OSError):
        fix = f"start it, or correct {variable}; rows wait in Kafka meanwhile"
        text, _, better = reason(error).partition(". Fix: ")
        problem = f"{shown} does not answer: {text}"
        fix = better or fix
        return finding("clickhouse_away", "error", variable, problem, fix)
    problem = f"{shown} refuses: {reason(error)}"
    return finding("clickhouse_refused", "error", variable, problem, f"correct {variable}")


def connect_clickhouse(url: str) -> ClickHouse:
    """As sinks.client.connect; makes no folder for an embedded engine. Raises SinkError."""
    parts = urlsplit(url)
    if parts.scheme == "chdb" and not Path(unquote(parts.path)).is_dir():
        raise Broken(f"{unquote(parts.path)} does not exist")
    return connect(url)


async def in_thread(call: Callable[[], T]) -> T:
    """The result of a blocking call, from a thread that does not keep the process from ending."""
    thread = CallThread("receipts-diagnosis")
    try:
        return await thread.run(call)
    finally:
        thread.end()
