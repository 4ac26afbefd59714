"""Why Kafka refuses us, in one line that names the setting or the right to correct.

aiokafka only logs most refusals of a connection, and raises "Unable to bootstrap". The
client of streams/kafka/connections.py keeps the error, and `refusal_of` reads it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.errors import (
    BrokerResponseError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from streams.tls.peer import wrong_peer

GRANT: Final = "grant it; `receipts topics --acls` prints the commands"

#: A denial counts for so many seconds; requests are repeated more often.
FRESH_S: Final = 10.0

_PROTOCOL: Final = "RECEIPTS_KAFKA_SECURITY_PROTOCOL"


class AccessRefused(KafkaError):  # type: ignore[misc]
    """Kafka refuses a connection, or a right; the text has the fix. Waiting does not help."""

    retriable = False

    def __str__(self) -> str:
        return str(self.args[0])


def refusal_of(error: BaseException, broker: str = "", protocol: str = "") -> AccessRefused | None:
    """Why a connection was refused; None: it failed for another reason, which may pass.

    broker: host:port. protocol: the security protocol in use. Empty: unknown
    """
    at = f" at {broker}" if broker else ""
    at += f", {protocol}" if protocol else ""
    text = ""
    for cause in _causes(error):
        if isinstance(cause, AccessRefused):
            return cause
        if isinstance(cause, ssl.SSLError):
            text = _of_tls(cause)
        elif isinstance(cause, UnsupportedSaslMechanismError):
            text = "does not offer this mechanism. Fix: correct RECEIPTS_KAFKA_SASL_MECHANISM"
        elif isinstance(cause, IllegalSaslStateError):
            text = f"expects no login there. Fix: correct {_PROTOCOL} or the port"
        elif isinstance(cause, SaslAuthenticationFailed):
            text = (
                "refuses the login. Fix: correct RECEIPTS_KAFKA_SASL_USERNAME and "
                "RECEIPTS_KAFKA_SASL_PASSWORD, with OAUTHBEARER the token"
            )
        if text:
            return AccessRefused(f"Kafka{at}: it {text}")
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        names = "write the name of the certificate in RECEIPTS_BROKERS"
        trust = "set RECEIPTS_KAFKA_SSL_CAFILE to the certificates that sign those of the brokers"
        return str(wrong_peer(error, names=names, trust=trust))
    reason = error.reason or ""
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return (
            f"refuses our certificate ({reason}). Fix: set RECEIPTS_KAFKA_SSL_CERTFILE and "
            "RECEIPTS_KAFKA_SSL_KEYFILE to a certificate that it trusts"
        )
    if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason:
        return f"does not encrypt. Fix: correct {_PROTOCOL} or the port"
    return ""


def denial(right: object, user: str = "") -> str:
    """The line for a right that is lacking, such as "READ on topic sends".

    user: that logs in with a name; empty: a certificate or a token has it, which the broker reads
    """
    to = f" to User:{user}" if user else ""
    return f"Kafka denies {right}{to}. Fix: {GRANT}"


def user_of(client: Any) -> str:
    """The user name with which a client of aiokafka logs in; empty: it has none."""
    return client._sasl_plain_username or ""


def denied_right(
    error: BaseException, operation: str = "READ or WRITE", user: str = ""
) -> AccessRefused | None:
    """The right that a refused request lacked; None: it was refused for another reason.

    operation: of the request, if it was one on topics. user: as for denial()
    """
    if isinstance(error, AccessRefused):
        return error
    names = ", ".join(map(str, _names(error)))
    if isinstance(error, TopicAuthorizationFailedError):
        return AccessRefused(denial(f"{operation} on topic {names}", user))
    if isinstance(error, GroupAuthorizationFailedError):
        return AccessRefused(denial(f"READ on group {names}", user))
    return None


def _names(error: BaseException) -> Iterator[object]:
    for argument in error.args:
        if isinstance(argument, set | frozenset | list | tuple):
            yield from sorted(map(str, argument))
        else:
            yield argument


class Denials:
    """Rights that are lacking now: requests without them are repeated, so each is noted again.

    Threads may share it. user: as for denial()
    """

    def __init__(self, user: str = "") -> None:
        self.user = user
        self._seen_at: dict[str, float] = {}

    def note(self, error: BaseException, operation: str) -> None:
        """Note a request that was refused for want of a right."""
        if (denied := denied_right(error, operation, self.user)) is not None:
            self._seen_at[str(denied)] = time.monotonic()

    def current(self) -> str:
        """What was denied in the last seconds, in words; empty: nothing."""
        now = time.monotonic()
        return "; ".join(text for text, at in list(self._seen_at.items()) if now - at < FRESH_S)


def no_answer(
    brokers: str, error: BaseException, operation: str = "READ or WRITE", user: str = ""
) -> str:
    """The line for a command whose request to Kafka failed: what refused it, or that nothing
    answers. operation, user: as for denied_right()."""
    refused = refusal_of(error, brokers) or denied_right(error, operation, user)
    if refused is not None:
        return str(refused)
    shown = error if isinstance(error, BrokerResponseError) or str(error) else repr(error)
    fix = "start it, or set RECEIPTS_BROKERS"
    if _PROTOCOL in str(error):
        fix = f"correct {_PROTOCOL} or the port in RECEIPTS_BROKERS; else see the broker's log"
    return f"Kafka at {brokers} does not answer ({shown}). Fix: {fix}"
