"""How to reach Kafka: brokers, TLS and login, made from the settings in one place.

    access = kafka_access(settings)
    consumer = clients.consumer(access, group_id="g")          # aiokafka
    app = BatchApp("id", access=access)                        # Faust

TLS files are read again when they changed, so certificates may be rotated under a running process:
each new connection uses the newest files that can be used. Tokens of OAUTHBEARER are fetched for
each new connection. What aiokafka and Faust leave to chance is decided here: a context always
exists for TLS, an encrypted key never prompts for its password, and nothing but SASL_PLAINTEXT
sends a login over an unencrypted connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple, Protocol, Self

from cryptography import x509

from streams.kafka.certificates import expiry_of
from streams.kafka.tokens import CommandTokens, FileTokens, TokenProvider

log = logging.getLogger(__name__)

#: A certificate is warned about for this long before it expires.
EXPIRES_SOON: Final = timedelta(days=14)

#: Seconds between looks at the files.
WATCH_EVERY_S: Final = 60.0

_Stamp = tuple[tuple[int, int, int], ...]


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


class Problem(NamedTuple):
    """What is wrong with a file, the variable that names it, and the fix."""

    variable: str
    text: str
    fix: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.text}. Fix: {self.fix}"


class UnusableAccess(ValueError):
    """Files that the settings name cannot be used; `problems` has all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


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
    """How to reach the Kafka of the settings. Raises UnusableAccess."""
    context = None
    if settings.kafka_security_protocol.endswith("SSL"):
        context = ReloadingContext(TlsFiles.of(settings))
    tokens: TokenProvider | None = None
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        path, command = settings.kafka_oauth_token_file, settings.kafka_oauth_token_command
        if path and (reason := _unreadable(path)):
            text, fix = f"{path} cannot be read: {reason}", "correct the path or its rights"
            raise UnusableAccess([Problem("RECEIPTS_KAFKA_OAUTH_TOKEN_FILE", text, fix)])
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


# --- files of TLS -------------------------------------------------------------------------------


@dataclass(frozen=True)
class TlsFiles:
    """Paths of PEM files, empty where there is none. keyfile: empty: the key is in certfile."""

    cafile: str = ""
    certfile: str = ""
    keyfile: str = ""
    key_password: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: SecuritySettings) -> Self:
        """The files of the settings."""
        return cls(
            settings.kafka_ssl_cafile,
            settings.kafka_ssl_certfile,
            settings.kafka_ssl_keyfile,
            settings.kafka_ssl_key_password,
        )

    def paths(self) -> dict[str, str]:
        """Path by variable, without those that are not set."""
        named = {
            "RECEIPTS_KAFKA_SSL_CAFILE": self.cafile,
            "RECEIPTS_KAFKA_SSL_CERTFILE": self.certfile,
            "RECEIPTS_KAFKA_SSL_KEYFILE": self.keyfile,
        }
        return {variable: path for variable, path in named.items() if path}

    def stamp(self) -> _Stamp:
        """Changes when a file is replaced or written to. Raises OSError."""
        stats = (Path(path).stat() for path in self.paths().values())
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)

    def load(self) -> ssl.SSLContext:
        """A context for clients, with the certificates of the files. Raises UnusableAccess."""
        problems = [
            Problem(variable, f"{path} cannot be read: {reason}", "correct the path or its rights")
            for variable, path in self.paths().items()
            if (reason := _unreadable(path))
        ]
        if problems:
            raise UnusableAccess(problems)
        context = ssl.create_default_context() if not self.cafile else None
        try:
            context = context or ssl.create_default_context(cafile=self.cafile)
        except ssl.SSLError:
            text = f"{self.cafile} holds no certificates in PEM format"
            problems.append(Problem("RECEIPTS_KAFKA_SSL_CAFILE", text, _PEM))
        if self.certfile:
            problems += _load_client_certificate(context or ssl.create_default_context(), self)
        if problems or context is None:
            raise UnusableAccess(problems)
        return context

    def warnings(self, now: datetime) -> Iterator[str]:
        """A line for each file with a certificate that has expired or soon will, or whose end
        cannot be read. The system's certificates are not part of it. Raises UnusableAccess.
        """
        self.load()
        for variable, path in self.paths().items():
            if variable == "RECEIPTS_KAFKA_SSL_KEYFILE":
                continue
            authorities = variable == "RECEIPTS_KAFKA_SSL_CAFILE"
            try:
                end = expiry_of(Path(path).read_bytes(), authorities=authorities, now=now)
            except (OSError, ValueError) as error:  # replaced just now, or OpenSSL is less strict
                yield f"{variable}: when {path} ends cannot be read: {error}. Fix: replace the file"
                continue
            if end < now + EXPIRES_SOON:
                verb = "expired" if end <= now else "expires"
                yield f"{variable}: a certificate {verb} at {end:%Y-%m-%d %H:%M} UTC. Fix: renew it"


_PEM: Final = "give a file with -----BEGIN CERTIFICATE----- lines"


def _unreadable(path: str) -> str:
    try:
        Path(path).read_bytes()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _load_client_certificate(context: ssl.SSLContext, files: TlsFiles) -> list[Problem]:
    """Load it, with its key; the reasons why that is not possible."""
    needed = False

    def password() -> str:  # without one OpenSSL would prompt for it on the terminal
        nonlocal needed
        needed = True
        return files.key_password

    key = "RECEIPTS_KAFKA_SSL_KEYFILE" if files.keyfile else "RECEIPTS_KAFKA_SSL_CERTFILE"
    key_path = files.keyfile or files.certfile
    try:
        context.load_cert_chain(files.certfile, files.keyfile or None, password)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or ""
        if needed and not files.key_password:
            variable, text = "RECEIPTS_KAFKA_SSL_KEY_PASSWORD", f"is empty, {key_path} is encrypted"
            return [Problem(variable, text, "give the password of the key")]
        if needed:
            variable = "RECEIPTS_KAFKA_SSL_KEY_PASSWORD"
            return [Problem(variable, f"does not open {key_path}", "give the password of the key")]
        if "MISMATCH" in reason:
            text = f"the key in {key_path} is not that of the certificate in {files.certfile}"
            return [Problem(key, text, "give the key that the certificate was made for")]
        if not _has_certificate(files.certfile):
            text = f"{files.certfile} holds no certificate in PEM format"
            return [Problem("RECEIPTS_KAFKA_SSL_CERTFILE", text, _PEM)]
        text = f"{key_path} holds no private key in PEM format"
        return [Problem(key, text, "give a file with -----BEGIN PRIVATE KEY----- lines")]
    return []


def _has_certificate(path: str) -> bool:
    try:
        x509.load_pem_x509_certificates(Path(path).read_bytes())
    except ValueError:
        return False
    return True


class ReloadingContext(ssl.SSLContext):
    """A context for clients: each new connection uses the files as they are then.

    Files that cannot be used leave the previous certificates in place, with an error in the log.
    Threads may share it. Raises UnusableAccess when the files cannot be used at the beginning.
    """

    _files: TlsFiles

    def __new__(cls, files: TlsFiles) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._lock = Lock()
        self._current = files.load()
        self._seen = files.stamp()

    @property
    def files(self) -> TlsFiles:
        """The files of the certificates."""
        return self._files

    def refresh(self) -> ssl.SSLContext:
        """The certificates to use now; loads and logs what changed. A change is tried once."""
        with self._lock:
            try:
                seen = self._files.stamp()
            except OSError:
                seen = ()
            if seen != self._seen:
                self._seen = seen
                self._load()
            return self._current

    def _load(self) -> None:
        try:
            self._current = self._files.load()
        except UnusableAccess as error:
            log.error("Changed certificates for Kafka cannot be used, the old ones stay: %s", error)
        else:
            log.info("Certificates for Kafka changed; new connections use the new ones")

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As any context's, with the newest certificates: asyncio and uvloop call it."""
        return self.refresh().wrap_bio(*args, **kwargs)


async def watch_certificates(access: Access, every_s: float = WATCH_EVERY_S) -> None:
    """Load changed certificates soon after the change, and warn before they expire.

    Connections do the same when they are made, which may be long after the change. Returns at once
    without TLS, else it runs until cancelled.
    """
    warned: list[str] = []
    while access.context is not None:
        access.context.refresh()
        with contextlib.suppress(UnusableAccess):  # refresh() logged it
            lines = certificate_warnings(access)
            for line in lines if lines != warned else ():
                log.warning("%s", line)
            warned = lines
        await asyncio.sleep(every_s)


def certificate_warnings(access: Access) -> list[str]:
    """Lines about certificates that have expired or soon will. Raises UnusableAccess."""
    if access.context is None:
        return []
    return list(access.context.files.warnings(datetime.now(UTC)))
