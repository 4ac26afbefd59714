"""Settings that are valid one by one and do not fit together."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

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
    return found + _kafka_issues(settings) + _tls_issues(settings)


def _kafka_issues(settings: "Settings") -> list[Issue]:
    """Settings of the connection to Kafka that do not fit together."""
    found: list[Issue] = []

    def refuse(wrong: bool, field: str, problem: str, fix: str) -> None:
        if wrong:
            found.append(Issue(variable_of(field), problem, fix))

    protocol, mechanism = settings.kafka_security_protocol, settings.kafka_sasl_mechanism
    by_token = mechanism == "OAUTHBEARER"
    sasl, tls = protocol.startswith("SASL"), protocol.endswith("SSL")
    sources = settings.kafka_oauth_token_file, settings.kafka_oauth_token_command
    refuse(
        sasl and not mechanism,
        "kafka_sasl_mechanism",
        f"is empty, but RECEIPTS_KAFKA_SECURITY_PROTOCOL is {protocol}",
        "write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, as the brokers have it",
    )
    for field in ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password"):
        refuse(
            bool(getattr(settings, field)) and not sasl,
            field,
            f"has no effect, RECEIPTS_KAFKA_SECURITY_PROTOCOL is {protocol}",
            "set RECEIPTS_KAFKA_SECURITY_PROTOCOL=SASL_SSL (SASL_PLAINTEXT sends it unencrypted)",
        )
    for field in ("kafka_sasl_username", "kafka_sasl_password"):
        given, wanted = bool(getattr(settings, field)), sasl and not by_token and bool(mechanism)
        refuse(
            wanted and not given,
            field,
            f"is empty, but {mechanism} needs it",
            _fix_of(settings, field),
        )
        refuse(
            sasl and by_token and given,
            field,
            "has no effect, OAUTHBEARER logs in with a token",
            "remove it, or set RECEIPTS_KAFKA_SASL_MECHANISM to the mechanism of the user",
        )
    refuse(
        sasl and by_token and not any(sources),
        "kafka_oauth_token_file",
        "is empty, but OAUTHBEARER needs a token",
        "set it, or RECEIPTS_KAFKA_OAUTH_TOKEN_COMMAND",
    )
    refuse(
        all(sources),
        "kafka_oauth_token_file",
        "and RECEIPTS_KAFKA_OAUTH_TOKEN_COMMAND are both set",
        "remove one of them",
    )
    refuse(
        any(sources) and not (sasl and by_token),
        "kafka_oauth_token_file" if sources[0] else "kafka_oauth_token_command",
        "has no effect without OAUTHBEARER",
        "set RECEIPTS_KAFKA_SECURITY_PROTOCOL=SASL_SSL and "
        "RECEIPTS_KAFKA_SASL_MECHANISM=OAUTHBEARER, or remove it",
    )
    return found + _kafka_file_issues(settings, tls)


def _kafka_file_issues(settings: "Settings", tls: bool) -> list[Issue]:
    names = ("cafile", "certfile", "keyfile", "key_password")
    given = {f"kafka_ssl_{name}": getattr(settings, f"kafka_ssl_{name}") for name in names}
    if not tls:
        encrypted = "SASL_SSL" if settings.kafka_security_protocol.startswith("SASL") else "SSL"
        return [
            Issue(
                variable_of(field),
                f"has no effect, RECEIPTS_KAFKA_SECURITY_PROTOCOL is "
                f"{settings.kafka_security_protocol}",
                f"set RECEIPTS_KAFKA_SECURITY_PROTOCOL={encrypted}, or remove it",
            )
            for field, value in given.items()
            if value
        ]
    return [
        Issue(
            variable_of(field),
            "has no effect without a client certificate",
            "set RECEIPTS_KAFKA_SSL_CERTFILE, or remove it",
        )
        for field in ("kafka_ssl_keyfile", "kafka_ssl_key_password")
        if given[field] and not given["kafka_ssl_certfile"]
    ]


def _tls_issues(settings: "Settings") -> list[Issue]:
    found = []
    for server in ("monitoring", "pages", "clickhouse"):
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
    return found


def _fix_of(settings: "Settings", field: str) -> str:
    extra = type(settings).model_fields[field].json_schema_extra
    assert isinstance(extra, dict), field
    return str(extra["fix"])
