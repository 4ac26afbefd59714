"""TLS of our own pages and the certificates for ClickHouse: PEM files, checked at the start.

The pages notice renewed certificates: new connections get the new one.
"""

import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from models.issues import Issue, SettingsError, variable_of
from models.settings import Settings

log = logging.getLogger(__name__)

#: Seconds between two looks at the files of a certificate.
LOOK_S = 5.0

_ENCRYPTED: Final = (
    "is encrypted with a password",
    "store the key without one, readable by this process alone: openssl pkey -in KEY -out PLAIN",
)


class CertificatePair(NamedTuple):
    """A certificate chain and its private key, by the names of their settings."""

    certfile: str
    keyfile: str
    cert_field: str
    key_field: str

    def load_into(self, context: ssl.SSLContext) -> None:
        """Raises SettingsError with the setting that is wrong, and the fix."""
        for path, field in ((self.certfile, self.cert_field), (self.keyfile, self.key_field)):
            if issue := _unreadable(path, field):
                raise SettingsError([issue])
        encrypted: list[bool] = []

        def password() -> str:
            # Without it OpenSSL would prompt on the terminal.
            encrypted.append(True)
            return ""

        try:
            context.load_cert_chain(self.certfile, self.keyfile, password)
        except (ssl.SSLError, ValueError, OSError) as error:
            raise SettingsError([self._issue(error, encrypted=bool(encrypted))]) from None

    def _issue(self, error: Exception, *, encrypted: bool) -> Issue:
        key, cert = variable_of(self.key_field), variable_of(self.cert_field)
        if encrypted:
            return Issue(key, f"{self.keyfile} {_ENCRYPTED[0]}", _ENCRYPTED[1])
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            problem = f"{self.keyfile} is not the key of {self.certfile}"
            return Issue(key, problem, f"give the key of the first certificate in {cert}")
        problem = f"{self.certfile} and {self.keyfile} are not a certificate and its key in PEM"
        return Issue(cert, f"{problem} ({error})", "convert them to PEM (BEGIN CERTIFICATE, …)")


def _unreadable(path: str, field: str) -> Issue | None:
    try:
        with Path(path).open("rb"):
            return None
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror})"
        fix = "give the path of a PEM file that this process may read"
        return Issue(variable_of(field), problem, fix)


def server_pair(settings: Settings, server: str) -> CertificatePair | None:
    """The certificate of "monitoring" or "pages"; None: plain HTTP."""
    fields = (f"{server}_certfile", f"{server}_keyfile")
    certfile, keyfile = (getattr(settings, field) for field in fields)
    return CertificatePair(certfile, keyfile, *fields) if certfile else None


def server_context(pair: CertificatePair) -> ssl.SSLContext:
    """A context for a server, TLS 1.2 or newer. Raises SettingsError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    pair.load_into(context)
    return context


@contextmanager
def renewing(context: ssl.SSLContext, pair: CertificatePair) -> Iterator[None]:
    """Load the certificate again whenever its files change, until the block ends.

    A pair that cannot be loaded is logged once, and the one before stays in use: while one file is
    new and the other is not, they do not match.
    """
    ended = threading.Event()

    def watch() -> None:
        loaded, refused = _state(pair), None
        while not ended.wait(LOOK_S):
            found = _state(pair)
            if found in (loaded, refused):
                continue
            try:
                # First into another context: of a pair that does not match half would be loaded.
                server_context(pair)
                pair.load_into(context)
            except SettingsError as error:
                refused = found
                log.error("the renewed certificate is not used: %s", error)
            else:
                loaded, refused = found, None
                log.info("%s was renewed: new connections get the new certificate", pair.certfile)

    watcher = threading.Thread(target=watch, name="receipts-certificate", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _state(pair: CertificatePair) -> tuple[object, ...]:
    """What changes with the files; also when a symbolic link gets another target."""
    found: list[object] = []
    for path in (pair.certfile, pair.keyfile):
        try:
            stat = Path(path).stat()
            found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def clickhouse_tls_issues(settings: Settings) -> list[Issue]:
    """What is wrong with the certificates for ClickHouse."""
    issues: list[Issue] = []
    if settings.clickhouse_cafile:
        issues += _authority_issues(settings.clickhouse_cafile, "clickhouse_cafile")
    fields = ("clickhouse_certfile", "clickhouse_keyfile")
    certfile, keyfile = (getattr(settings, field) for field in fields)
    if certfile:
        try:
            pair = CertificatePair(certfile, keyfile, *fields)
            pair.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        except SettingsError as error:
            issues += error.issues
    return issues


def _authority_issues(path: str, field: str) -> list[Issue]:
    if issue := _unreadable(path, field):
        return [issue]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    fix = "give a PEM file with the certificate of the authority (BEGIN CERTIFICATE)"
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        return [Issue(variable_of(field), f"{path} has no certificate in PEM ({error})", fix)]
    if not context.cert_store_stats()["x509"]:
        return [Issue(variable_of(field), f"{path} has no certificate", fix)]
    return []
