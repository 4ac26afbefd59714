"""Settings of the connection to Kafka that are valid, but do not fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from models.issues import Issue, variable_of

if TYPE_CHECKING:
    from models.settings import Settings

_PROTOCOL: Final = "RECEIPTS_KAFKA_SECURITY_PROTOCOL"


class _Issues(list[Issue]):
    def refuse(self, wrong: object, field: str, problem: str, fix: str) -> None:
        """Add an issue if something is wrong."""
        if wrong:
            self.append(Issue(variable_of(field), problem, fix))


def connection_issues(settings: Settings) -> list[Issue]:
    """Every issue, with its fix."""
    if settings.kafka_security_protocol.startswith("SASL"):
        found = _login_issues(settings)
    else:
        found = _useless_login_issues(settings)
    return [*found, *_token_issues(settings), *_file_issues(settings)]


def _login_issues(settings: Settings) -> list[Issue]:
    found, mechanism = _Issues(), settings.kafka_sasl_mechanism
    found.refuse(
        not mechanism,
        "kafka_sasl_mechanism",
        f"is empty, but {_PROTOCOL} is {settings.kafka_security_protocol}",
        "write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, as the brokers have it",
    )
    user = {
        "kafka_sasl_username": ("give the name of the user", settings.kafka_sasl_username),
        "kafka_sasl_password": ("give the password of the user", settings.kafka_sasl_password),
    }
    for field, (fix, value) in user.items():
        if mechanism == "OAUTHBEARER":
            found.refuse(
                value,
                field,
                "has no effect, OAUTHBEARER logs in with a token",
                "remove it, or set RECEIPTS_KAFKA_SASL_MECHANISM to the mechanism of the user",
            )
        elif mechanism:
            found.refuse(not value, field, f"is empty, but {mechanism} needs it", fix)
    return found


def _useless_login_issues(settings: Settings) -> list[Issue]:
    found = _Issues()
    for field in ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password"):
        found.refuse(
            getattr(settings, field),
            field,
            f"has no effect, {_PROTOCOL} is {settings.kafka_security_protocol}",
            f"set {_PROTOCOL}=SASL_SSL (SASL_PLAINTEXT sends it unencrypted), or remove it",
        )
    return found


def _token_issues(settings: Settings) -> list[Issue]:
    found = _Issues()
    by_token = settings.kafka_sasl_mechanism == "OAUTHBEARER"
    sasl = settings.kafka_security_protocol.startswith("SASL")
    path, command = settings.kafka_oauth_token_file, settings.kafka_oauth_token_command
    found.refuse(
        sasl and by_token and not (path or command),
        "kafka_oauth_token_file",
        "is empty, but OAUTHBEARER needs a token",
        "set it, or RECEIPTS_KAFKA_OAUTH_TOKEN_COMMAND",
    )
    found.refuse(
        path and command,
        "kafka_oauth_token_file",
        "and RECEIPTS_KAFKA_OAUTH_TOKEN_COMMAND are both set",
        "remove one of them",
    )
    found.refuse(
        (path or command) and not (sasl and by_token),
        "kafka_oauth_token_file" if path else "kafka_oauth_token_command",
        "has no effect without OAUTHBEARER",
        f"set {_PROTOCOL}=SASL_SSL and RECEIPTS_KAFKA_SASL_MECHANISM=OAUTHBEARER, or remove it",
    )
    return found


def _file_issues(settings: Settings) -> list[Issue]:
    found, protocol = _Issues(), settings.kafka_security_protocol
    encrypted = "SASL_SSL" if protocol.startswith("SASL") else "SSL"
    for name in ("cafile", "certfile", "keyfile", "key_password"):
        field = f"kafka_ssl_{name}"
        given = getattr(settings, field)
        found.refuse(
            given and not protocol.endswith("SSL"),
            field,
            f"has no effect, {_PROTOCOL} is {protocol}",
            f"set {_PROTOCOL}={encrypted}, or remove it",
        )
        found.refuse(
            given
            and protocol.endswith("SSL")
            and "key" in name
            and not settings.kafka_ssl_certfile,
            field,
            "has no effect without a client certificate",
            "set RECEIPTS_KAFKA_SSL_CERTFILE, or remove it",
        )
    return found
