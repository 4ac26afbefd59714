"""Variables that Kubernetes sets in every pod for each service of its namespace.

A service named `receipts-worker` sets `RECEIPTS_WORKER_SERVICE_HOST`, `RECEIPTS_WORKER_PORT` and
more. They look like settings but are not, and must not keep a process from starting.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

_URL: Final = re.compile(r"(?:tcp|udp|sctp)://(?P<host>[^/]+):(?P<port>[0-9]{1,5})", re.ASCII)


def is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes set this variable, judged by the end of its name and by its value.

    A setting may have the same name (`RECEIPTS_WORKER_PORT`): then the value decides, which is a
    URL for a service and a number for a setting.
    """
    return any(ends.search(name) and holds(value) for ends, holds in _KINDS)


def _is_url(value: str) -> bool:
    found = _URL.fullmatch(value)
    return found is not None and _is_port(found["port"]) and _is_address(found["host"].strip("[]"))


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdigit() and 0 < int(value) < 65_536


def _is_protocol(value: str) -> bool:
    return value in ("tcp", "udp", "sctp")


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


#: What follows the service's name in a variable's name, and the check of its value.
_KINDS: Final[tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...]] = tuple(
    (re.compile(ends + r"\Z", re.ASCII), holds)
    for ends, holds in (
        (r"_SERVICE_HOST", _is_address),
        (r"_SERVICE_PORT(?:_[A-Z0-9_]+)?", _is_port),
        (r"_PORT(?:_[0-9]+_(?:TCP|UDP|SCTP))?", _is_url),
        (r"_PORT_[0-9]+_(?:TCP|UDP|SCTP)_PROTO", _is_protocol),
        (r"_PORT_[0-9]+_(?:TCP|UDP|SCTP)_PORT", _is_port),
        (r"_PORT_[0-9]+_(?:TCP|UDP|SCTP)_ADDR", _is_address),
    )
)
