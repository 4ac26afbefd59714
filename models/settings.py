"""All settings of all processes, in one frozen object; all mistakes are reported at once.

The caller passes a mapping (deploy passes the environment); this module reads nothing itself. A
variable's name is `RECEIPTS_` and the field's name in capitals.
"""

import difflib
import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, get_args
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from models.issues import PREFIX, Issue, SettingsError, field_of, mask_url, variable_of
from models.service_links import is_service_link
from models.setting_conflicts import URLS, conflicts_of

MIN_RETENTION_DAYS = 8
"""Validity is at most 7 days, and a message must expire before its day retires."""

TEXT_DAYS = 90
EVENTS_DAYS = 30

Topic = Literal[
    "sends", "receipts", "engagements", "campaigns", "accounts", "suppression-requests",
    "message-states", "status-counters", "strikes", "suppressions", "retry-requests",
    "callbacks", "provider-ids", "provider-receipts", "provider-links", "provider-correlations",
    "unmatched-receipts", "dead-letters"
]  # fmt: skip

#: Topics of an installation whose providers call back: RECEIPTS_ENDPOINTS is set.
CALLBACK_TOPICS: Final[frozenset[Topic]] = frozenset(
    {
        "callbacks",
        "provider-ids",
        "provider-receipts",
        "provider-links",
        "provider-correlations",
        "unmatched-receipts",
    }
)

IGNORED_VARIABLES = frozenset({"RECEIPTS_KAFKA_HOME"})
"""Variables of the test tools: where Kafka's jars are kept."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}", re.ASCII)
_PAGES_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,64}=" + _TOKEN.pattern, re.ASCII)
_BROKER = re.compile(r"(\[[0-9A-Fa-f:]+]|[\w.-]+):([0-9]{1,5})", re.ASCII)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$", max_length=100)]
Host = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Days = Annotated[int, Field(ge=1, le=3650)]
DaysOrNone = Annotated[int, Field(ge=0, le=3650)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


def _setting(default: Any, meaning: str, fix: str, *, secret: bool = False, **limits: Any) -> Any:
    """secret: it is not shown in any text, and may be given in a file (`RECEIPTS_…_FILE`)."""
    extra: JsonDict = {"fix": fix, "secret": secret}
    return Field(default, description=meaning, json_schema_extra=extra, repr=not secret, **limits)


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting is a secret."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("secret"))


class Settings(BaseModel):
    """Built by `read(mapping)`; keyword arguments are for tests."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    brokers: str = _setting(
        "127.0.0.1:9092",
        "bootstrap brokers of Kafka, `host:port` separated by commas",
        "give host:port, several separated by commas, such as kafka-1:9092,kafka-2:9092",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _setting(
        "PLAINTEXT",
        "how to connect to Kafka (docs/security.md): `SSL` and `SASL_SSL` encrypt, the other two "
        "do not; with `SASL_PLAINTEXT` passwords and tokens can be read on the network",
        "write PLAINTEXT, SSL, SASL_SSL or SASL_PLAINTEXT",
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", ""] = (
        _setting(
            "",
            "how to log in to Kafka, with `SASL_SSL` and `SASL_PLAINTEXT`",
            "write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, or leave it empty",
        )
    )
    kafka_sasl_username: str = _setting(
        "",
        "user of Kafka for PLAIN and SCRAM; for Confluent Cloud the API key",
        "give the name of the user",
    )
    kafka_sasl_password: str = _setting(
        "",
        "password of that user; for Confluent Cloud the API secret",
        "give the password of RECEIPTS_KAFKA_SASL_USERNAME",
        secret=True,
    )
    kafka_ssl_cafile: str = _setting(
        "",
        "file with the certificates (PEM) that sign those of the brokers; empty: the certificates "
        "that the operating system trusts",
        "give the path of a PEM file, or leave it empty",
    )
    kafka_ssl_certfile: str = _setting(
        "",
        "file with the client certificate and its chain (PEM), where brokers require one (mTLS)",
        "give the path of a PEM file, or leave it empty",
    )
    kafka_ssl_keyfile: str = _setting(
        "",
        "file with the private key (PEM) of the client certificate; empty: the key is in "
        "RECEIPTS_KAFKA_SSL_CERTFILE",
        "give the path of a PEM file, or leave it empty",
    )
    kafka_ssl_key_password: str = _setting(
        "",
        "password of the private key, if it is encrypted",
        "give the password of the key, or leave it empty",
        secret=True,
    )
    kafka_oauth_token_file: str = _setting(
        "",
        "file with the token for OAUTHBEARER; it is read again for each connection",
        "give the path of a file that something else keeps up to date, or leave it empty",
    )
    kafka_oauth_token_command: str = _setting(
        "",
        "command that prints the token for OAUTHBEARER; run without a shell, again when the token "
        "is about to expire",
        "write the command as for a shell, with quotes where needed, or leave it empty",
        secret=True,
    )
    app_id: Name = _setting(
        "receipts",
        "consumer group of the workers; the sinks' group is this with the suffix `-sink`",
        "use 1 to 100 of A-Z a-z 0-9 . _ -",
        min_length=1,
    )
    topic_prefix: Name = _setting(
        "",
        "prefix of every topic name, so that installations can share a cluster",
        "use at most 100 of A-Z a-z 0-9 . _ - or leave it empty",
    )
    partitions: int = _setting(
        4,
        "partitions of every topic; never change it for topics that hold data",
        "give a whole number from 1 to 1024",
        ge=1,
        le=1024,
    )
    replication: int = _setting(
        1,
        "replicas of every partition; 3 in production",
        "give a whole number from 1 to 9, at most the number of brokers",
        ge=1,
        le=9,
    )
    event_days: Days = _setting(
        7,
        "days Kafka keeps sends, receipts, engagements, strikes and retry requests; "
        "suppression requests four times as long",
        "give a whole number of days from 1 to 3650",
    )
    callback_days: Days = _setting(
        14,
        "days Kafka keeps raw callbacks of providers, to be read again",
        "give a whole number of days from 1 to 3650",
    )
    unmatched_days: DaysOrNone = _setting(
        3,
        "days after which a receipt without its message is reported as unmatched (0: at once); it "
        "is still matched when its id comes later, within RECEIPTS_RETENTION_DAYS",
        "give a whole number of days from 0 to 3650",
    )
    dead_letter_days: Days = _setting(
        30,
        "days Kafka keeps dead letters",
        "give a whole number of days from 1 to 3650",
    )
    clickhouse_url: str = _setting(
        "http://default:@127.0.0.1:8123/receipts",
        "`http(s)://user:password@host:port/database`; "
        "`chdb:///path` runs the engine inside the sink's process",
        "write it as http://user:password@host:8123/database (/ in a password as %2F) "
        "or chdb:///path/of/a/folder",
        secret=True,
    )
    clickhouse_cafile: str = _setting(
        "",
        "certificates of the authority that signed ClickHouse's; empty: those of the system",
        "give the path of a PEM file, or leave it empty",
    )
    clickhouse_certfile: str = _setting(
        "",
        "client certificate for ClickHouse; with a URL without a password it is also how "
        "ClickHouse knows the user (`ssl_certificate`)",
        "give the path of a PEM file, or leave it empty",
    )
    clickhouse_keyfile: str = _setting(
        "",
        "private key of RECEIPTS_CLICKHOUSE_CERTFILE, without a password",
        "give the path of a PEM file, or leave it empty",
    )
    retention_days: int = _setting(
        10,
        "whole days from the end of a message's day until its state is deleted",
        f"give a whole number of days from {MIN_RETENTION_DAYS} (validity is at most 7) to 366",
        ge=MIN_RETENTION_DAYS,
        le=366,
    )
    text_days: Days = _setting(
        TEXT_DAYS,
        "days ClickHouse keeps message texts",
        "give a whole number of days from 1 to 3650",
    )
    events_days: Days = _setting(
        EVENTS_DAYS,
        "days ClickHouse keeps every receipt as it came, in receipt_events, from occurred_at; and "
        "unmatched ones, from received_at",
        "give a whole number of days from 1 to 3650",
    )
    max_event_bytes: int = _setting(
        524_288,
        "largest accepted event value in bytes; larger ones become dead letters",
        "give bytes from 1024 to 1000000",
        ge=1024,
        le=1_000_000,
    )
    batch_size: Count = _setting(
        2000,
        "largest number of records in one batch of the worker",
        "give a whole number from 1 to 1000000",
    )
    commit_interval_s: float = _setting(
        1.0,
        "seconds between offset commits of the worker",
        "give seconds from 0.05 to 60",
        ge=0.05,
        le=60,
    )
    session_timeout_s: int = _setting(
        10,
        "seconds without a heartbeat until Kafka reassigns a process's partitions; longer than "
        "Kafka takes to detect a dead broker (`broker.session.timeout.ms`, 9 s by default)",
        "give seconds from 6 (Kafka's own minimum) to 300",
        ge=6,
        le=300,
    )
    endpoints: str = _setting(
        "",
        "file with the endpoints that providers call (docs/endpoints.md), for `receipts listen` "
        "and the workers; empty: receipts come from `receipts` only. Sinks and commands need to "
        "know that it is set, since it decides which topics there are; they do not open it",
        "give the path of a TOML file, or leave it empty",
    )
    state_dir: str = _setting(
        "",
        "folder on a local disk where the worker keeps states, of this worker alone; empty: in "
        "memory (docs/sizing.md)",
        "give the path of a folder that this process may write, or leave it empty",
    )
    state_cache_mb: int = _setting(
        256,
        "MiB of memory for recently used states, with RECEIPTS_STATE_DIR",
        "give MiB from 8 to 65536",
        ge=8,
        le=65_536,
    )
    standbys: int = _setting(
        0,
        "other workers that keep a copy of each partition's states, so that they take it over "
        "within seconds (docs/standbys.md); as far as there are as many workers",
        "give 0, 1 or 2",
        ge=0,
        le=2,
    )
    listen_host: Host = _setting(
        "127.0.0.1",
        "address on which `receipts listen` takes callbacks",
        "give an address of this machine, such as 127.0.0.1 or 0.0.0.0",
    )
    listen_port: Port = _setting(
        8090,
        "port on which `receipts listen` takes callbacks; 0: any free port, which is printed",
        "give a port from 0 to 65535",
    )
    listen_monitoring_host: Host = _setting(
        "127.0.0.1",
        "address on which `receipts listen` serves /metrics, /healthz and /readyz",
        "give an address of this machine, such as 127.0.0.1 or 0.0.0.0",
    )
    listen_monitoring_port: Port = _setting(
        6069,
        "port of these pages of `receipts listen`; 0: any free port, which is logged",
        "give a port from 0 to 65535",
    )
    listen_timeout_s: float = _setting(
        1.5,
        "seconds that a callback waits for Kafka before its provider is sent away to try again; "
        "some providers wait for 2 seconds only",
        "give seconds from 0.1 to 60",
        ge=0.1,
        le=60,
    )
    listen_max_body_bytes: int = _setting(
        900_000,
        "bytes of the largest callback; the topic takes no more than 1 MiB",
        "give bytes from 1000 to 1000000",
        ge=1_000,
        le=1_000_000,
    )
    listen_certfile: str = _setting(
        "",
        "file with the certificate (PEM) by which `receipts listen` serves TLS; empty: no TLS",
        "give the path of a PEM file, or leave it empty",
    )
    listen_keyfile: str = _setting(
        "",
        "file with the private key (PEM) of RECEIPTS_LISTEN_CERTFILE",
        "give the path of a PEM file, or leave it empty",
    )
    worker_host: Host = _setting(
        "127.0.0.1",
        "address on which the worker serves /metrics, /healthz and /readyz",
        "give an address of this machine, such as 127.0.0.1 or 0.0.0.0",
    )
    worker_port: Port = _setting(
        6066,
        "port of the worker's pages; 0: any free port, which is logged",
        "give a port from 0 to 65535",
    )
    monitoring_token: str = _setting(
        "",
        "token of the pages of worker and sink, sent as `Authorization: Bearer`; /healthz and "
        "/readyz need none; empty: no page needs it, and /suppressions answers on loopback only",
        "give 16 to 200 letters, digits, - and _, or leave it empty; make one with: "
        "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        secret=True,
    )
    monitoring_certfile: str = _setting(
        "",
        "certificate chain with which worker and sink serve their pages by TLS; empty: plain HTTP",
        "give the path of a PEM file, or leave it empty",
    )
    monitoring_keyfile: str = _setting(
        "",
        "private key of RECEIPTS_MONITORING_CERTFILE, without a password",
        "give the path of a PEM file, or leave it empty",
    )
    sink_host: Host = _setting(
        "127.0.0.1",
        "address on which the sink serves /metrics, /healthz and /readyz",
        "give an address of this machine, such as 127.0.0.1 or 0.0.0.0",
    )
    sink_port: Port = _setting(
        6067,
        "port of the sink's pages; 0: any free port, which is logged",
        "give a port from 0 to 65535",
    )
    sink_max_rows: Count = _setting(
        20_000,
        "largest number of rows in one insert",
        "give a whole number from 1 to 1000000",
    )
    sink_max_wait_s: float = _setting(
        0.5,
        "longest time in seconds the sink collects rows before it inserts a smaller batch",
        "give seconds from 0.01 to 60",
        ge=0.01,
        le=60,
    )
    pages_host: Host = _setting(
        "127.0.0.1",
        "address on which `receipts pages` serves the reports",
        "give an address of this machine, such as 127.0.0.1 or 0.0.0.0",
    )
    pages_port: Port = _setting(
        6068,
        "port of the report pages; 0: any free port, which is printed",
        "give a port from 0 to 65535",
    )
    pages_certfile: str = _setting(
        "",
        "certificate chain with which `receipts pages` serves the reports by TLS; empty: plain "
        "HTTP",
        "give the path of a PEM file, or leave it empty",
    )
    pages_keyfile: str = _setting(
        "",
        "private key of RECEIPTS_PAGES_CERTFILE, without a password",
        "give the path of a PEM file, or leave it empty",
    )
    pages_clickhouse_url: str = _setting(
        "",
        "ClickHouse URL for the reports, with a read-only user (docs/bi.md); "
        "empty: RECEIPTS_CLICKHOUSE_URL",
        "write it as http://user:password@host:8123/database or leave it empty",
        secret=True,
    )
    pages_tokens: str = _setting(
        "",
        "who may see the pages: `account=token` separated by commas; a token shows only its own "
        "account, and an account may have several tokens",
        "write account=token,account=token with tokens of 16 to 200 letters, digits, - and _, "
        "each once; make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        secret=True,
    )
    show_verification_text: bool = _setting(
        False,
        "whether pages, exports and commands show the texts of verification messages (one-time "
        "codes); the views of BI tools never do",
        "write true or false",
    )
    migrate_on_start: bool = _setting(
        True,
        "whether the sink applies missing migrations when it starts",
        "write true or false",
    )
    alive_s: float = _setting(
        60.0,
        "seconds without progress or a turn of the event loop until /healthz answers 503",
        "give seconds from 5 to 3600",
        ge=5,
        le=3600,
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info",
        "least severe level that is logged",
        "write debug, info, warning or error",
    )

    @field_validator("brokers")
    @classmethod
    def _brokers_are_addresses(cls, value: str) -> str:
        for address in value.split(","):
            found = _BROKER.fullmatch(address.strip())
            if not found or not 0 < int(found[2]) < 65_536:
                raise ValueError(f"{address.strip()!r} is not host:port")
        return value.replace(" ", "")

    @field_validator("kafka_oauth_token_command")
    @classmethod
    def _command_can_be_split(cls, value: str) -> str:
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"cannot be split into words: {error}") from error
        return value if words else ""

    @field_validator(*URLS)
    @classmethod
    def _url_is_known(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "pages_clickhouse_url":
            return value
        try:
            url = urlsplit(value)
            port = url.port
        except ValueError as error:
            raise ValueError("is not a URL with a port from 0 to 65535") from error
        if url.scheme == "chdb" and not re.match(r"chdb:///.", value):
            raise ValueError("lacks a folder for the embedded engine")
        if url.scheme == "chdb":
            return value
        if url.scheme not in ("http", "https"):
            raise ValueError("does not start with http://, https:// or chdb://")
        if not url.hostname or port == 0:
            raise ValueError("has no host and port")
        if not re.fullmatch(r"/[A-Za-z_][A-Za-z0-9_]*", url.path):
            raise ValueError("does not end with /database (letters, digits and _)")
        return value

    @field_validator("pages_tokens")
    @classmethod
    def _tokens_are_long(cls, value: str) -> str:
        pairs = [pair.strip() for pair in value.split(",") if pair.strip()]
        for place, pair in enumerate(pairs, 1):
            if not _PAGES_TOKEN.fullmatch(pair):
                raise ValueError(f"entry {place} is not account=token with a long token")
        tokens = [pair.partition("=")[2] for pair in pairs]
        if len(set(tokens)) < len(tokens):
            raise ValueError("the same token is given twice")
        return ",".join(pairs)

    @field_validator("monitoring_token")
    @classmethod
    def _token_is_long(cls, value: str) -> str:
        if value and not _TOKEN.fullmatch(value):
            raise ValueError("is too short, or has other characters than letters, digits, - and _")
        return value

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        issues = conflicts_of(self)
        if issues:
            raise PydanticCustomError(
                "settings", "{text}", {"text": "\n".join(map(str, issues)), "issues": issues}
            )
        return self

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Settings from the `RECEIPTS_…` entries of a mapping; all other entries are ignored.

        Variables that Kubernetes sets for services with such names are ignored too. Raises
        SettingsError with all mistakes found.
        """
        given = {k: v.strip() for k, v in environ.items() if k.startswith(PREFIX)}
        ours = {
            k: v
            for k, v in given.items()
            if k not in IGNORED_VARIABLES and not is_service_link(k, v)
        }
        fields = {field_of(k): v for k, v in ours.items()}
        known = {k: v for k, v in fields.items() if k in cls.model_fields}
        issues = [_unknown(k) for k in sorted(set(fields) - set(known))]
        issues += _issues_in(known)
        if issues:
            raise SettingsError(issues)
        return cls.model_validate(known)

    def environ(self) -> dict[str, str]:
        """Variables that read back as these settings, for child processes; secrets are in clear.

        They are for the environment of a process and never for its arguments, which all users of a
        machine can read.
        """
        return {variable_of(k): _text_of(v) for k, v in self.model_dump().items()}

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The topics of this installation by plain name, in the order of the flow."""
        every: tuple[Topic, ...] = get_args(Topic)
        return tuple(name for name in every if self.endpoints or name not in CALLBACK_TOPICS)

    def topic(self, name: Topic) -> str:
        """The topic's full name, with the prefix."""
        return self.topic_prefix + name

    @property
    def sink_url(self) -> str:
        """URL of ClickHouse for sink and migrations, with the TLS settings as its arguments."""
        return self._with_tls(self.clickhouse_url)

    @property
    def reports_url(self) -> str:
        """URL of ClickHouse for the reports, with the TLS settings as its arguments."""
        return self._with_tls(self.pages_clickhouse_url or self.clickhouse_url)

    def _with_tls(self, url: str) -> str:
        """The URL with arguments of clickhouse-connect.

        With a client certificate the driver sends no password unless `tls_mode` is strict.
        """
        parts = urlsplit(url)
        if parts.scheme != "https":
            return url
        given = {
            "ca_cert": self.clickhouse_cafile,
            "client_cert": self.clickhouse_certfile,
            "client_cert_key": self.clickhouse_keyfile,
            "tls_mode": "strict" if self.clickhouse_certfile and parts.password else "",
        }
        arguments = urlencode({name: value for name, value in given.items() if value})
        query = "&".join(part for part in (parts.query, arguments) if part)
        return urlunsplit(parts._replace(query=query))

    @property
    def token_accounts(self) -> dict[str, str]:
        """Token of the pages → the account it shows."""
        pairs = (pair.partition("=") for pair in self.pages_tokens.split(",") if pair)
        return {token: account for account, _, token in pairs}

    @property
    def secret_words(self) -> frozenset[str]:
        """What must not be in any text: passwords, as they are written in URLs too, and tokens.

        A password that is also a name of these settings (such as `receipts`) is left out: to mask
        it would make every text unreadable.
        """
        words, names = {*self.token_accounts, self.monitoring_token}, {PREFIX, self.app_id}
        for field in SECRETS - {"pages_tokens", "monitoring_token"}:
            value = getattr(self, field)
            if field not in URLS:
                words.add(value)
                continue
            url = urlsplit(value)
            words |= {url.password or "", unquote(url.password or "")}
            names |= {url.username or "", url.hostname or "", url.path.strip("/")}
        return frozenset(words - names - {PREFIX.lower().strip("_"), ""})

    @property
    def sink_group(self) -> str:
        """Consumer group of the sinks."""
        return self.app_id + "-sink"

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        shown = [(field, mask_url(getattr(self, field))) for field in URLS]
        return [*super().__repr_args__(), *shown]


SECRETS: Final = frozenset(
    name for name, field in Settings.model_fields.items() if is_secret(field)
)
"""The settings that no text shows; each may also be given in a file."""


def _text_of(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fix_of(field: str) -> str:
    extra = Settings.model_fields[field].json_schema_extra
    assert isinstance(extra, dict), field
    return str(extra["fix"])


def _unknown(field: str) -> Issue:
    near = difflib.get_close_matches(field, Settings.model_fields, n=1)
    fix = f"did you mean {variable_of(near[0])}?" if near else "remove it, see docs/settings.md"
    return Issue(variable_of(field), "unknown setting", fix)


def _issues_in(given: Mapping[str, str]) -> list[Issue]:
    """Mistakes in single fields first, then valid fields that do not fit together."""
    try:
        Settings.model_validate(given)
    except ValidationError as error:
        details = error.errors(include_url=False)
    else:
        return []
    if not details[0]["loc"]:
        return list(details[0]["ctx"]["issues"])
    wrong = {str(d["loc"][0]) for d in details}
    rest = {k: v for k, v in given.items() if k not in wrong}
    crossed = [m for m in _issues_in(rest) if not _follows(m, wrong)]
    return [_field_issue(d, given) for d in details] + crossed


def _follows(issue: Issue, wrong: set[str]) -> bool:
    """Whether an issue is about wrong fields: their defaults were read instead."""
    names = {variable_of(field) for field in wrong}
    return issue.where in names or any(name in issue.problem for name in names)


def _field_issue(detail: ErrorDetails, given: Mapping[str, str]) -> Issue:
    field = str(detail["loc"][0])
    problem = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    value = mask_url(given[field]) if "://" in given[field] else given[field]
    fix = _fix_of(field)
    if detail["type"] == "value_error" or field in SECRETS:
        return Issue(variable_of(field), problem, fix)
    return Issue(variable_of(field), f"{value!r} should be {problem}", fix)
