"""Settings that are valid one by one and do not fit together."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from models.connection_issues import connection_issues
from models.issues import Issue, variable_of

if TYPE_CHECKING:
    from models.settings import Settings

#: Settings that are URLs of ClickHouse.
URLS = ("clickhouse_url", "pages_clickhouse_url")


def conflicts_of(settings: "Settings") -> list[Issue]:
    """What is wrong with settings that are valid one by one."""
    found: list[Issue] = []

    def check(good: bool, field: str, wrong: str, fix: str) -> None:
        if not good:
            found.append(Issue(variable_of(field), wrong, fix))

    check(
        settings.commit_interval_s < settings.session_timeout_s,
        "commit_interval_s",
        f"{settings.commit_interval_s:g} s is not below the session timeout of "
        f"{settings.session_timeout_s} s, so a lost worker could not commit in time",
        "lower it, or raise RECEIPTS_SESSION_TIMEOUT_S",
    )
    check(
        settings.alive_s > settings.session_timeout_s,
        "alive_s",
        f"{settings.alive_s:g} s is not above the session timeout of "
        f"{settings.session_timeout_s} s, so every rebalance would look like a dead process",
        "raise it, or lower RECEIPTS_SESSION_TIMEOUT_S",
    )
    check(
        settings.sink_max_wait_s < settings.alive_s,
        "sink_max_wait_s",
        f"{settings.sink_max_wait_s:g} s is not below RECEIPTS_ALIVE_S "
        f"({settings.alive_s:g} s), so an idle sink would look dead",
        "lower it, or raise RECEIPTS_ALIVE_S",
    )
    check(
        (settings.worker_host, settings.worker_port) != (settings.sink_host, settings.sink_port)
        or settings.worker_port == 0,
        "sink_port",
        f"{settings.sink_port} is the worker's port on the same address",
        "give the two processes different ports (RECEIPTS_WORKER_PORT, RECEIPTS_SINK_PORT)",
    )
    check(
        not settings.endpoints or settings.events_days > settings.unmatched_days,
        "events_days",
        f"{settings.events_days} days are not more than RECEIPTS_UNMATCHED_DAYS "
        f"({settings.unmatched_days}), so unmatched receipts would be forgotten when they are "
        "reported",
        "raise it, or lower RECEIPTS_UNMATCHED_DAYS",
    )
    return found + connection_issues(settings) + _tls_issues(settings)


def _tls_issues(settings: "Settings") -> list[Issue]:
    found = []
    for server in ("monitoring", "pages", "listen", "clickhouse"):
        pair = (f"{server}_certfile", f"{server}_keyfile")
        missing = [field for field in pair if not getattr(settings, field)]
        if len(missing) == 1:
            (given,) = set(pair) - set(missing)
            fix = f"give the path of its PEM file, or remove {variable_of(given)}"
            found.append(Issue(variable_of(missing[0]), "is missing", fix))
    used = {urlsplit(getattr(settings, field)).scheme for field in URLS}
    for field in ("clickhouse_cafile", "clickhouse_certfile", "clickhouse_keyfile"):
        if getattr(settings, field) and "https" not in used:
            fix = "write RECEIPTS_CLICKHOUSE_URL as https://…, or remove this setting"
            found.append(Issue(variable_of(field), "ClickHouse's URL has no TLS", fix))
    return [*found, *_unchecked(settings)]


def _unchecked(settings: "Settings") -> Iterator[Issue]:
    """URLs that would turn off the check of the server's certificate, as the driver reads them."""
    for field in URLS:
        for name, value in parse_qsl(urlsplit(getattr(settings, field)).query):
            if name == "verify" and value.lower() not in ("true", "1", "proxy"):
                fix = "remove it, and give the authority in RECEIPTS_CLICKHOUSE_CAFILE"
                problem = f"has verify={value}: the server's certificate would not be checked"
                yield Issue(variable_of(field), problem, fix)
