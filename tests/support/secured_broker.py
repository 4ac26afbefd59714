"""A real Kafka broker with TLS, logins and access rights, as managed ones have them.

    with SecuredBroker() as broker:
        broker.settings("scram-sha-512", "receipts-worker")     # fields of Settings

Listeners: PLAINTEXT (for the test itself, everything is allowed there), SSL with client
certificates (mTLS), SASL_SSL and SASL_PLAINTEXT with every mechanism, and SHORT: SASL_SSL whose
sessions end after SESSION_MS. A principal is `User:` and the name of the user, which is also the
common name of its certificate and the subject of its tokens. The StandardAuthorizer denies what no
ACL allows.
"""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import trustme
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.embedded.brokers import (
    KAFKA_VERSION,
    BrokerError,
    KafkaBroker,
    fetch_kafka,
    free_port,
    kafka_home,
)
from models.access_rights import Right
from streams.kafka import clients
from streams.kafka.authorized import OPERATIONS
from streams.kafka.security import Access

SESSION_MS: Final = 8_000

#: Principals of the processes, as `receipts topics --acls` names them by default.
USERS: Final = (
    "receipts-worker", "receipts-sink", "receipts-admin", "receipts-upstream",
    "receipts-simulator", "receipts-suppressions", "receipts-status",
)  # fmt: skip

Way = Literal["mtls", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer"]

_SASL: Final = "org.apache.kafka.common.security"


def password_of(user: str) -> str:
    """The password of a user; no other text of a test contains it."""
    return f"secret-of-{user}-3f9c"


def token_of(user: str, life_s: float = 3600.0) -> str:
    """An unsecured JWT, as Kafka's validator for tests accepts it."""
    now = time.time()
    claims = {"sub": user, "iat": now - 1, "exp": now + life_s, "scope": "kafka"}
    parts = ({"alg": "none"}, claims)
    return ".".join(_base64url(json.dumps(part).encode()) for part in parts) + "."


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Certificates:
    """A certificate authority, and certificates of it as PEM files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.authority = trustme.CA()
        self.cafile = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.cafile)

    def issue(
        self, name: str, *hosts: str, password: str = "", **options: Any
    ) -> tuple[Path, Path]:
        """Files of a certificate with its chain, and of its key. password: encrypts the key."""
        made = self.authority.issue_cert(*(hosts or (name,)), common_name=name, **options)
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        private = load_pem_private_key(made.private_key_pem.bytes(), None)
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return cert, key


class SecuredBroker(KafkaBroker):
    """Apache Kafka with secured listeners. users: names of further users."""

    def __init__(self, users: Iterable[str] = (), heap: str = "512m", **settings: str) -> None:
        super().__init__(heap, **settings)
        self.name = "secured Apache Kafka"
        self.users = (*USERS, *users)
        self.ports: dict[str, int] = {}
        for name in ("SSL", "SASL_SSL", "SASL_PLAINTEXT", "SHORT"):
            while (port := free_port()) in {self.port, self.controller_port, *self.ports.values()}:
                pass  # nobody listens on the others yet, so they are free too
            self.ports[name] = port
        self.certificates = Certificates(self.home / "tls")
        cert, key = self.certificates.issue("broker", "127.0.0.1", "localhost")
        self._keystore = self.home / "tls" / "keystore.pem"
        self._keystore.write_bytes(key.read_bytes() + cert.read_bytes())

    def address(self, listener: str) -> str:
        """host:port of a listener."""
        return f"127.0.0.1:{self.ports[listener]}"

    def settings(self, way: Way, user: str, listener: str = "") -> dict[str, Any]:
        """Fields of Settings that connect a user. listener: default: SSL for mTLS, else SASL_SSL"""
        listener = listener or ("SSL" if way == "mtls" else "SASL_SSL")
        protocol = "SASL_SSL" if listener == "SHORT" else listener
        found: dict[str, Any] = {
            "brokers": self.address(listener),
            "kafka_security_protocol": protocol,
        }
        if protocol.endswith("SSL"):
            found["kafka_ssl_cafile"] = str(self.certificates.cafile)
        if way == "mtls":
            cert, key = self.certificates.issue(user)
            return found | {"kafka_ssl_certfile": str(cert), "kafka_ssl_keyfile": str(key)}
        found["kafka_sasl_mechanism"] = way.upper()
        if way == "oauthbearer":
            tokens = self.home / f"{user}.token"
            tokens.write_text(token_of(user) + "\n")
            return found | {"kafka_oauth_token_file": str(tokens)}
        return found | {"kafka_sasl_username": user, "kafka_sasl_password": password_of(user)}

    def _java(self) -> list[str]:
        java, *rest = super()._java()
        # Less work for two cores: start-up counts here, not throughput.
        return [java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *rest]

    def _format_options(self) -> list[str]:
        options = []
        for user in self.users:
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                login = f"{mechanism}=[name={user},iterations=4096,password={password_of(user)}]"
                options += ["--add-scram", login]
        return options

    def _server_properties(self) -> dict[str, str]:
        base = super()._server_properties()
        extra = ",".join(f"{name}://{self.address(name)}" for name in self.ports)
        return {
            **base,
            "listeners": f"{base['listeners']},{extra}",
            "advertised.listeners": f"{base['advertised.listeners']},{extra}",
            "listener.security.protocol.map": (
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,"
                "SASL_PLAINTEXT:SASL_PLAINTEXT,SHORT:SASL_SSL"
            ),
            "inter.broker.listener.name": "PLAINTEXT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._keystore),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.cafile),
            "listener.name.ssl.ssl.client.auth": "required",
            "listener.name.ssl.ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
            "metadata.max.age.ms": "1000",
            **self._logins(),
            **self._settings,
        }

    def _logins(self) -> dict[str, str]:
        plain = " ".join(f'user_{user}="{password_of(user)}"' for user in self.users)
        scram = f"{_SASL}.scram.ScramLoginModule required;"
        modules = {
            "plain": f"{_SASL}.plain.PlainLoginModule required {plain};",
            "scram-sha-256": scram,
            "scram-sha-512": scram,
            "oauthbearer": f"{_SASL}.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";',
        }
        found = {}
        for listener in ("sasl_ssl", "sasl_plaintext", "short"):
            name = f"listener.name.{listener}"
            found[f"{name}.sasl.enabled.mechanisms"] = ",".join(modules).upper()
            for mechanism, module in modules.items():
                found[f"{name}.{mechanism}.sasl.jaas.config"] = module
                if listener == "short":
                    found[f"{name}.{mechanism}.connections.max.reauth.ms"] = str(SESSION_MS)
        return found


# --- access rights ------------------------------------------------------------------------------


def kafka_acls_jar() -> Path:
    """The jar of kafka-acls.sh, which the server does not need; by Maven, once per machine."""
    jar = kafka_home().parent / f"kafka-tools-{KAFKA_VERSION}.jar"
    if not jar.exists():
        command = [
            "mvn", "-q", "-B", "dependency:copy", f"-DoutputDirectory={jar.parent}",
            f"-Dartifact=org.apache.kafka:kafka-tools:{KAFKA_VERSION}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if not jar.exists():
            raise BrokerError(f"Maven could not fetch kafka-tools: {done.stdout[-2000:]}")
    return jar


def run_kafka_acls(commands: Iterable[str]) -> None:
    """Run lines that begin with kafka-acls.sh, all in one JVM. Raises BrokerError."""
    lines = []
    for line in commands:
        script, *arguments = shlex.split(line)
        assert script == "kafka-acls.sh"
        lines.append("\x1f".join(arguments) + "\n")
    classes = f"{fetch_kafka()}/*:{kafka_acls_jar()}"
    java = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classes]
    program = str(Path(__file__).with_name("RunAclCommands.java"))
    done = subprocess.run(
        [*java, program],
        input="".join(lines), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    ran = sum(line.startswith("# ") for line in done.stdout.splitlines())
    if done.returncode or ran != len(lines) or "Error" in done.stdout + done.stderr:
        raise BrokerError(f"{done.stdout}{done.stderr}")


_KINDS: Final = {"topic": 2, "group": 3}
_NUMBERS: Final = {name: number for number, name in OPERATIONS.items()}
_LITERAL, _ALLOW, _NONE = 3, 3, 0


def _acl(principal: str, right: Right) -> tuple[Any, ...]:
    operation = _NUMBERS[right.operation]
    return _KINDS[right.kind], right.name, _LITERAL, principal, "*", operation, _ALLOW


async def grant(broker: SecuredBroker, principal: str, *rights: Right) -> None:
    """Add an ACL for each right."""
    async with _admin(broker) as admin:
        for right in rights:
            answer = await admin._send_request(CreateAclsRequest(*_acl(principal, right)))
            assert [code for code, _ in answer.creation_responses] == [_NONE], answer


async def revoke(broker: SecuredBroker, principal: str, right: Right) -> None:
    """Remove one ACL; AssertionError when there is none."""
    async with _admin(broker) as admin:
        answer = await admin._send_request(DeleteAclsRequest(*_acl(principal, right)))
        ((code, _, removed),) = answer.filter_responses
        assert code == _NONE and len(removed) == 1, answer


@asynccontextmanager
async def _admin(broker: SecuredBroker) -> AsyncIterator[Any]:
    admin = clients.admin(Access(broker.bootstrap))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
