"""Reading in steps: what one step cannot read does not hide what the others can."""

import asyncio
import fcntl
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from aiokafka.errors import ClusterAuthorizationFailedError, KafkaConnectionError, KafkaError

from deploy.diagnosis.findings import REINSTALL, Finding, finding
from deploy.kafka.topics import TopicsError
from models.issues import mask_url
from sinks.call_thread import CallThread
from sinks.client import ClickHouse, connect
from sinks.errors import Broken, SinkError, Unavailable
from streams.kafka.reading import UnusableClient
from streams.kafka.refusals import AccessRefused, denied_right, refusal_of

T = TypeVar("T")

#: A source that has not answered by then counts as away.
SOURCE_S: Final = 8.0
#: One request to it.
REQUEST_S: Final = 4.0

_LONGEST: Final = 300
#: urllib3 wraps the reason of the system in its own texts.
_CAUSE: Final = re.compile(r"Caused by .*: (.*?)[\"']\)\)")
#: ClickHouse appends the addresses of its frames.
_STACK: Final = ", Stack trace"
#: An engine holds a lock on this file of its folder.
_LOCKED: Final = "status"


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
    return cause[1] if cause else text.partition(_STACK)[0][:_LONGEST]


def kafka_reason(error: BaseException, user: str = "") -> str:
    """As reason(), for an error of Kafka: what it refuses has its fix."""
    if refused := _refused(error, user):
        return str(refused)
    if isinstance(error, KafkaConnectionError) and "bootstrap" in str(error):
        return "no connection to any broker"  # aiokafka names addresses, and no reason
    if isinstance(error, ClusterAuthorizationFailedError):
        return "Kafka denies DESCRIBE on the cluster, which no process needs"
    return reason(error)


def _refused(error: BaseException, user: str) -> AccessRefused | None:
    return refusal_of(error) or denied_right(error, "READ or DESCRIBE", user)


def kafka_finding(brokers: str, error: BaseException, fix: str, user: str = "") -> Finding:
    """The finding for a Kafka that cannot be read. fix: if it does not answer"""
    if isinstance(error, UnusableClient):
        return finding("codecs", "error", "Kafka client", str(error), REINSTALL)
    if refused := _refused(error, user):
        text, _, better = str(refused).partition(". Fix: ")
        problem = text.removeprefix("Kafka ")
        return finding("kafka_refused", "error", "Kafka", problem, better)
    problem = f"{brokers} does not answer: {kafka_reason(error, user)}"
    return finding("kafka_away", "error", "Kafka", problem, fix)


def clickhouse_finding(url: str, error: SinkError | OSError, variable: str) -> Finding:
    """The finding for a ClickHouse that cannot be read. variable: the setting with its URL."""
    shown = mask_url(url.partition("?")[0])
    if urlsplit(url).scheme == "chdb":
        return _engine_finding(_folder_of(url), shown, error, variable)
    if isinstance(error, Unavailable | OSError):
        fix = f"start it, or correct {variable}; rows wait in Kafka meanwhile"
        text, _, better = reason(error).partition(". Fix: ")
        problem = f"{shown} does not answer: {text}"
        fix = better or fix
        return finding("clickhouse_away", "error", variable, problem, fix)
    problem = f"{shown} refuses: {reason(error)}"
    return finding("clickhouse_refused", "error", variable, problem, f"correct {variable}")


def _engine_finding(folder: Path, shown: str, error: Exception, variable: str) -> Finding:
    if not folder.exists():
        problem = f"{shown} is an embedded engine, and its folder does not exist"
        fix = f"run `receipts migrate`, which makes it, or correct {variable}"
        return finding("clickhouse_refused", "warning", variable, problem, fix)
    if _is_open(folder):
        problem = f"{shown} is an embedded engine, and another process has it open"
        fix = "read the pages of the sink that has it open, or stop that process"
        return finding("clickhouse_in_use", "warning", variable, problem, fix)
    # The text of the driver: our own adds that the folder may be open elsewhere.
    why = reason(error.__cause__ or error)
    problem = f"{shown} is an embedded engine, and cannot be used: {why}"
    fix = f"correct {variable}, or the folder and its rights"
    return finding("clickhouse_refused", "error", variable, problem, fix)


def _is_open(folder: Path) -> bool:
    """Whether a process has the engine of a folder open: the engine's error does not say it."""
    try:
        with (folder / _LOCKED).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no engine was ever there, or this user may not look
        return False
    return False


def connect_clickhouse(url: str) -> ClickHouse:
    """As sinks.client.connect; makes no folder for an embedded engine. Raises SinkError."""
    if urlsplit(url).scheme == "chdb":
        folder = _folder_of(url)
        if not folder.is_dir():
            raise Broken(f"{folder} {'is a file' if folder.exists() else 'does not exist'}")
    return connect(url)


def _folder_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


async def in_thread(call: Callable[[], T]) -> T:
    """The result of a blocking call, from a thread that does not keep the process from ending."""
    thread = CallThread("receipts-diagnosis")
    try:
        return await thread.run(call)
    finally:
        thread.end()
