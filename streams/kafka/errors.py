"""Errors of requests to Kafka, by kind; also those that a client of aiokafka tries again silently.

aiokafka hides most of them: connections that cannot be opened, metadata, offset commits, produce
requests and fetches are tried again, and at most a log line remains.
"""

import ssl
from collections.abc import Callable
from typing import Any, Final, Literal

from aiokafka import errors
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest

Kind = Literal["connection", "timeout", "authentication", "authorization", "other"]
#: Called with the kind of each error.
Report = Callable[[Kind], object]

_KINDS: Final[tuple[tuple[Kind, tuple[type[BaseException], ...]], ...]] = (
    # A broker that ends or restarts hangs up like this; it refuses nothing.
    ("connection", (ssl.SSLEOFError, ssl.SSLZeroReturnError)),
    (
        "authorization",
        (
            errors.TopicAuthorizationFailedError,
            errors.GroupAuthorizationFailedError,
            errors.ClusterAuthorizationFailedError,
            errors.TransactionalIdAuthorizationFailed,
        ),
    ),
    (
        "authentication",
        (
            errors.AuthenticationFailedError,
            errors.AuthenticationMethodNotSupported,
            errors.SaslAuthenticationFailed,
            errors.UnsupportedSaslMechanismError,
            errors.IllegalSaslStateError,
            ssl.SSLError,
        ),
    ),
    ("timeout", (TimeoutError, errors.RequestTimedOutError, errors.KafkaTimeoutError)),
    ("connection", (errors.KafkaConnectionError, errors.NodeNotReadyError, OSError)),
)

#: Requests whose responses have their error codes where `error_codes` looks.
_WITH_CODES: Final = (
    FetchRequest,
    FindCoordinatorRequest,
    HeartbeatRequest,
    JoinGroupRequest,
    OffsetCommitRequest,
    OffsetRequest,
    ProduceRequest,
    SyncGroupRequest,
)

#: Codes that belong to the normal course of a rebalance.
_NORMAL: Final = frozenset(
    {0, errors.RebalanceInProgressError.errno, errors.MemberIdRequired.errno}
)


def kind_of(error: BaseException) -> Kind:
    """What kind of error it is, for the metric."""
    for kind, types in _KINDS:
        if isinstance(error, types):
            return kind
    return "other"


def error_codes(response: Any) -> frozenset[int]:
    """All error codes in a response, those of partitions included. For the requests above."""
    topics = getattr(response, "topics", None)
    if topics is None:
        return frozenset({getattr(response, "error_code", 0)})
    return frozenset(partition[1] for _, partitions in topics for partition in partitions)


def report_codes(request: object, response: Any, report: Report) -> None:
    """Report each error code with which a broker answered a request."""
    if isinstance(request, _WITH_CODES):
        for code in error_codes(response) - _NORMAL:
            report(kind_of(errors.for_code(code)()))


def watch_commits(coordinator: Any, failed: Callable[[], object]) -> None:
    """Call `failed` for each commit of offsets that fails, also when aiokafka tries it again.

    coordinator: GroupCoordinator of a consumer that is started. All its requests go through
        _send_req (aiokafka/consumer/group_coordinator.py:299), looked up on the instance.
    """
    send = coordinator._send_req

    async def watched(request: Any) -> Any:
        if not isinstance(request, OffsetCommitRequest):
            return await send(request)
        try:
            response = await send(request)
        except errors.KafkaError:
            failed()
            raise
        if error_codes(response) != {0}:
            failed()
        return response

    coordinator._send_req = watched
