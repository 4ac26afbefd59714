"""How to reach Kafka: brokers, TLS and login, made from the settings in one place.

    access = kafka_access(settings)
    consumer = clients.consumer(access, group_id="g")          # aiokafka
    app = BatchApp("id", access=access)                        # Faust

Each new connection uses the newest TLS files that can be used (streams/tls/), and fetches a token
of OAUTHBEARER. What aiokafka and Faust leave to chance is decided here: a context always exists for
TLS, and nothing but SASL_PLAINTEXT sends a login over an unencrypted connection.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from streams.kafka.tokens import CommandTokens, FileTokens, TokenProvider
from streams.tls.certificates import (
    Authorities,
    CertificatePair,
    Certificates,
    ClientFiles,
    NamedFile,
    UnusableFiles,
)
from streams.tls.reloading import ReloadingContext, for_client

log = logging.getLogger(__name__)

#: A certificate is warned about for this long before it expires.
EXPIRES_SOON: Final = timedelta(days=14)

#: Seconds between looks at the files.
WATCH_EVERY_S: Final = 60.0


class SecuritySettings(Protocol):
    """The settings that this module reads; docs/settings.md explains them."""

    @property
    def brokers(self) -> str: ...
    @property
    def kafka_security_protocol(self) -> str: ...
    @property
    def kafka_sasl_mechanism(self) -> str: ...
    @property
    def kafka_sasl_username(self) -> str: ...
    @property
    def kafka_sasl_password(self) -> str: ...
    @property
    def kafka_ssl_cafile(self) -> str: ...
    @property
    def kafka_ssl_certfile(self) -> str: ...
    @property
    def kafka_ssl_keyfile(self) -> str: ...
    @property
    def kafka_ssl_key_password(self) -> str: ...
    @property
    def kafka_oauth_token_file(self) -> str: ...
    @property
    def kafka_oauth_token_command(self) -> str: ...


@dataclass(frozen=True)
class Access:
    """How to reach Kafka. brokers: host:port, comma separated. Without more: unencrypted."""

    brokers: str
    protocol: str = "PLAINTEXT"
    mechanism: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    tokens: TokenProvider | None = field(default=None, repr=False)
    context: ReloadingContext | None = field(default=None, repr=False)

    @property
    def for_aiokafka(self) -> dict[str, Any]:
        """Arguments of aiokafka's consumer, producer, admin client and client."""
        return {
            "bootstrap_servers": self.brokers,
            "security_protocol": self.protocol,
            "ssl_context": self.context,
            "sasl_mechanism": self.mechanism or "PLAIN",
            "sasl_plain_username": self.username or None,
            "sasl_plain_password": self.password or None,
            "sasl_oauth_token_provider": self.tokens,
        }

    @property
    def for_faust(self) -> Any:
        """Faust's `broker_credentials`; None: unencrypted, without a login."""
        import faust  # takes long, and only the worker needs it

        if self.tokens is not None:
            return faust.OAuthCredentials(oauth_cb=self.tokens, ssl_context=self.context)
        if self.protocol.startswith("SASL"):
            return faust.SASLCredentials(
                username=self.username,
                password=self.password,
                ssl_context=self.context,
                mechanism=self.mechanism,
            )
        return None if self.context is None else faust.SSLCredentials(self.context)


def kafka_access(settings: SecuritySettings) -> Access:
    """How to reach the Kafka of the settings. Raises UnusableFiles."""
    context = None
    if settings.kafka_security_protocol.endswith("SSL"):
        context = for_client(kafka_files(settings))
    tokens: TokenProvider | None = None
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        path, command = settings.kafka_oauth_token_file, settings.kafka_oauth_token_command
        if path and (problems := NamedFile("RECEIPTS_KAFKA_OAUTH_TOKEN_FILE", path).unreadable()):
            raise UnusableFiles(problems)
        tokens = FileTokens(Path(path)) if path else CommandTokens(command)
    return Access(
        settings.brokers,
        settings.kafka_security_protocol,
        settings.kafka_sasl_mechanism,
        settings.kafka_sasl_username,
        settings.kafka_sasl_password,
        tokens,
        context,
    )


def kafka_files(settings: SecuritySettings) -> ClientFiles:
    """The PEM files of the settings."""
    authorities = pair = None
    if path := settings.kafka_ssl_cafile:
        authorities = Authorities(NamedFile("RECEIPTS_KAFKA_SSL_CAFILE", path))
    if path := settings.kafka_ssl_certfile:
        cert = NamedFile("RECEIPTS_KAFKA_SSL_CERTFILE", path)
        key = cert
        if path := settings.kafka_ssl_keyfile:
            key = NamedFile("RECEIPTS_KAFKA_SSL_KEYFILE", path)
        password = settings.kafka_ssl_key_password
        pair = CertificatePair(cert, key, password, "RECEIPTS_KAFKA_SSL_KEY_PASSWORD")
    return ClientFiles(authorities, pair)


async def watch_certificates(access: Access, every_s: float = WATCH_EVERY_S) -> None:
    """Load changed certificates soon after the change, and warn before they expire.

    Connections do the same when they are made, which may be long after the change. Returns at once
    without TLS, else it runs until cancelled.
    """
    warned: list[str] = []
    while access.context is not None:
        access.context.refresh()
        lines = certificate_warnings(access)
        for line in lines if lines != warned else ():
            log.warning("%s", line)
        warned = lines
        await asyncio.sleep(every_s)


def certificate_warnings(access: Access) -> list[str]:
    """A line for each usable file with a certificate that has expired or soon will, or whose end
    cannot be read. The system's certificates are not part of it.
    """
    parts = () if access.context is None else access.context.parts
    return [line for part in parts if (line := _warning(part, datetime.now(UTC)))]


def _warning(part: Certificates, now: datetime) -> str:
    if part.problems():
        return ""  # refresh() logs them
    variable, path = part.files[0]
    try:
        end = part.ends(now)
    except (OSError, ValueError) as error:  # replaced just now, or OpenSSL is less strict
        return f"{variable}: when {path} ends cannot be read: {error}. Fix: replace the file"
    if end >= now + EXPIRES_SOON:
        return ""
    verb = "expired" if end <= now else "expires"
    return f"{variable}: a certificate {verb} at {end:%Y-%m-%d %H:%M} UTC. Fix: renew it"
