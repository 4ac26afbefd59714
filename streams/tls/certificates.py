"""Certificates and keys in PEM files: what is wrong with them, contexts of them, when they end.

Every mistake is a Problem with the variable that names the file; there is one wording for each.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509

_PEM: Final = "give a file with -----BEGIN CERTIFICATE----- lines"
_KEY_BEGINS: Final = b"PRIVATE KEY-----"


class Problem(NamedTuple):
    """What is wrong with a file, the variable that names it, and the fix."""

    variable: str
    text: str
    fix: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.text}. Fix: {self.fix}"


class UnusableFiles(ValueError):
    """Files that the settings name cannot be used; `problems` has all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


class NamedFile(NamedTuple):
    """The path of a file, and the variable that names it."""

    variable: str
    path: str

    def unreadable(self) -> list[Problem]:
        """The reason why the file cannot be read; none when it can."""
        try:
            with Path(self.path).open("rb"):
                return []
        except OSError as error:
            return [self.cannot_be_read(error)]

    def cannot_be_read(self, error: OSError) -> Problem:
        """The problem of an error of the system."""
        text = f"{self.path} cannot be read: {error.strerror or error}"
        return Problem(self.variable, text, "give the path of a file that this process may read")


@dataclass(frozen=True)
class Authorities:
    """A file with the certificates of authorities, which sign those of the other side."""

    file: NamedFile

    @property
    def files(self) -> tuple[NamedFile, ...]:
        """The one file."""
        return (self.file,)

    def problems(self) -> list[Problem]:
        """What is wrong with the file now."""
        return _trusting(self)[1]

    def ends(self, now: datetime) -> datetime:
        """When the first certificate in force ends. Raises OSError, ValueError."""
        return expiry_of(Path(self.file.path).read_bytes(), authorities=True, now=now)


@dataclass(frozen=True)
class CertificatePair:
    """A certificate with its chain, and its private key.

    key: may be the file of the certificate. password: of an encrypted key. password_variable: "":
    the key must not be encrypted
    """

    cert: NamedFile
    key: NamedFile
    password: str = field(default="", repr=False)
    password_variable: str = ""

    @property
    def files(self) -> tuple[NamedFile, ...]:
        """One or two files."""
        return (self.cert,) if self.cert == self.key else (self.cert, self.key)

    def problems(self) -> list[Problem]:
        """What is wrong with the files now."""
        return self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def ends(self, now: datetime) -> datetime:
        """When the first certificate of the chain ends. Raises OSError, ValueError."""
        return expiry_of(Path(self.cert.path).read_bytes(), authorities=False, now=now)

    def load_into(self, context: ssl.SSLContext) -> list[Problem]:
        """Load the pair; the reasons why that is not possible."""
        if problems := [problem for file in self.files for problem in file.unreadable()]:
            return problems
        needed: list[bool] = []

        def password() -> str:  # without one OpenSSL would prompt for it on the terminal
            needed.append(True)
            return self.password

        try:
            context.load_cert_chain(self.cert.path, self.key.path, password)
        except ssl.SSLError as error:
            return [self._encrypted() if needed else self._problem(error)]
        except ValueError as error:  # a password that is too long
            return [self._encrypted() if needed else self._unusable(error)]
        except OSError as error:  # removed just now
            return [self.cert.cannot_be_read(error)]
        return []

    def _encrypted(self) -> Problem:
        if not self.password_variable:
            text = f"{self.key.path} is encrypted with a password"
            fix = "store the key without one, readable by this process alone"
            return Problem(self.key.variable, text, f"{fix}: openssl pkey -in KEY -out PLAIN")
        if self.password:
            text = f"does not open {self.key.path}"
        else:
            text = f"is empty, {self.key.path} is encrypted with a password"
        return Problem(self.password_variable, text, "give the password of the key")

    def _problem(self, error: ssl.SSLError) -> Problem:
        if "MISMATCH" in (error.reason or ""):
            text = f"the key in {self.key.path} is not that of the certificate in {self.cert.path}"
            fix = "give the key of the first certificate in the file"
            return Problem(self.key.variable, text, fix)
        try:
            chain, key = (Path(file.path).read_bytes() for file in (self.cert, self.key))
        except OSError as gone:
            return self.cert.cannot_be_read(gone)
        if not _has_certificates(chain):
            return _no_certificates(self.cert)
        if _KEY_BEGINS not in key:
            text = f"{self.key.path} holds no private key in PEM format"
            fix = "give a file with -----BEGIN PRIVATE KEY----- lines"
            return Problem(self.key.variable, text, fix)
        return self._unusable(error)

    def _unusable(self, error: Exception) -> Problem:
        text = f"{self.cert.path} cannot be used with the key in {self.key.path}: {error}"
        return Problem(self.cert.variable, text, "replace the files with complete ones")


Certificates = Authorities | CertificatePair


class ClientFiles(NamedTuple):
    """The files of a client. None: the authorities of the system; no certificate of its own."""

    authorities: Authorities | None = None
    pair: CertificatePair | None = None

    @property
    def parts(self) -> tuple[Certificates, ...]:
        """Those that are there."""
        return tuple(part for part in self if part is not None)

    def problems(self) -> list[Problem]:
        """What is wrong with the files now."""
        return [problem for part in self.parts for problem in part.problems()]

    def context(self) -> ssl.SSLContext:
        """A context for clients, with the files as they are now. Raises UnusableFiles."""
        context, problems = _trusting(self.authorities)
        if self.pair is not None:
            problems += self.pair.load_into(context)
        if problems:
            raise UnusableFiles(problems)
        return context


def server_context(pair: CertificatePair) -> ssl.SSLContext:
    """A context for servers, TLS 1.2 or newer. Raises UnusableFiles."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if problems := pair.load_into(context):
        raise UnusableFiles(problems)
    return context


def expiry_of(pem: bytes, *, authorities: bool, now: datetime | None = None) -> datetime:
    """When the first of several certificates ends.

    authorities: they are alternatives, so those that ended already do not count unless all did
    now: None: the time of this machine

    Raises ValueError when there is no certificate.
    """
    ends = [each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem)]
    if not authorities:
        return min(ends)
    now = now or datetime.now(UTC)
    return min((end for end in ends if end > now), default=max(ends))


def _trusting(authorities: Authorities | None) -> tuple[ssl.SSLContext, list[Problem]]:
    """A context for clients; with problems it cannot be used."""
    if authorities is None:
        return ssl.create_default_context(), []
    file = authorities.file
    try:
        context = ssl.create_default_context(cafile=file.path)
    except ssl.SSLError:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), [_no_certificates(file)]
    except OSError as error:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), [file.cannot_be_read(error)]
    # A file with nothing but a list of revoked certificates loads.
    lacking = not context.cert_store_stats()["x509"]
    return context, [_no_certificates(file)] if lacking else []


def _no_certificates(file: NamedFile) -> Problem:
    return Problem(file.variable, f"{file.path} holds no certificate in PEM format", _PEM)


def _has_certificates(pem: bytes) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return False
