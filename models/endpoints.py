"""The file of endpoints: where providers call back, how they sign, and how they are read.

TOML, one table for each. All mistakes are reported at once. Secrets are not in it: it names the
variables and files that have them. docs/endpoints.md explains each key.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from models.codes import table_of
from models.codes.tables import STATUS_WORDS
from models.contract import Account
from models.providers import ADAPTERS, adapter_of
from models.providers.callback import Options, Provider, by_key
from models.providers.ids import IdRule
from models.signatures import SCHEMES, Details
from models.time import is_zone

Model = TypeVar("Model", bound=BaseModel)
Network = IPv4Network | IPv6Network

#: Ways to verify besides the schemes with secrets in headers.
PATH, SNS, NOBODY = "path", "sns", "none"
WAYS: Final = (*SCHEMES, PATH, SNS)
DEFAULT_WAYS: Final = {
    "twilio": "twilio",
    "vonage": "vonage-jwt",
    "whatsapp": "meta",
    "telnyx": "telnyx",
    "plivo": "plivo",
    "messagebird": "messagebird",
    "sinch": "sinch",
    "aws": SNS,
}
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_SECRET: Final = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)")
_TOPIC_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?"
)


class BadEndpoints(ValueError):
    """The file has mistakes. problems: one line each: table.key: what is wrong. Fix: what helps"""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _wrong(problem: str) -> PydanticCustomError:
    return PydanticCustomError("endpoint", problem.replace("{", "{{").replace("}", "}}"))


def _known_provider(name: str) -> str:
    adapter = adapter_of(name)
    if adapter is None:
        raise _wrong(f"not known. Fix: one of {', '.join(ADAPTERS)}")
    return adapter.name


def _https(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.netloc or parts.query or parts.fragment:
        raise _wrong("not an address. Fix: https://host[:port][/prefix], as the provider sees it")
    return url.rstrip("/")


def _known_zone(name: str) -> str:
    if not is_zone(name):
        raise _wrong("not a zone. Fix: an IANA name, such as Europe/London")
    return name


def _known_codes(name: str) -> str:
    if table_of(name) is None:
        raise _wrong("no such table. Fix: one that `receipts codes` lists")
    return name


def _secret(name: str) -> str:
    if not _SECRET.fullmatch(name):
        raise _wrong("not a place of a secret. Fix: env:VARIABLE or file:/path; never the secret")
    return name


def _network(written: str) -> str:
    try:
        ip_network(written)
    except ValueError as error:
        raise _wrong(f"{error}. Fix: an address or network, such as 54.172.60.0/23") from None
    return written


def _way(name: str) -> str:
    if name not in WAYS:
        raise _wrong(f"not known. Fix: one of {', '.join(WAYS)}")
    return name


def _topic_arn(written: str) -> str:
    if not _TOPIC_ARN.fullmatch(written):
        raise _wrong("not the ARN of an SNS topic. Fix: arn:aws:sns:REGION:ACCOUNT:TOPIC")
    return written


class Endpoint(BaseModel):
    """One address that a provider calls. Its keys in the file have the same names."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    provider: Annotated[str, AfterValidator(_known_provider)]
    account: Account
    public_url: Annotated[str, AfterValidator(_https)] = ""
    verify: Annotated[str, AfterValidator(_way)] = ""
    secrets: list[Annotated[str, AfterValidator(_secret)]] = []
    unverified: bool = False
    topic_arns: list[Annotated[str, AfterValidator(_topic_arn)]] = []
    confirm_subscriptions: bool = False
    allow_ips: list[Annotated[str, AfterValidator(_network)]] = []
    window_s: Annotated[int, Field(ge=10, le=86_400)] = 300
    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{0,64}$")] = ""
    algorithm: Literal["", "md5hash", "md5", "sha1", "sha256", "sha512"] = ""
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Annotated[str, StringConstraints(max_length=32)] = ""
    handshake_token: Annotated[str, AfterValidator(_secret)] | None = None
    zone: Annotated[str, AfterValidator(_known_zone)] | None = None
    codes: Annotated[str, AfterValidator(_known_codes)] | None = None
    ids: list[IdRule] = []
    statuses: dict[str, Literal[STATUS_WORDS]] = {}  # type: ignore[valid-type]
    parameters: dict[Literal["id", "status", "text", "to", "time"], str] = {}

    @model_validator(mode="after")
    def _verifies(self) -> Self:
        way = self.way
        if self.unverified:
            if self.verify or self.secrets:
                raise _wrong("unverified: a way to verify is given too. Fix: remove one of them")
            return self
        if way == NOBODY:
            raise _wrong(
                "verify: missing, for nothing proves who calls. Fix: verify and secrets, or, if "
                "anyone may call, unverified = true"
            )
        if way == SNS and not self.topic_arns:
            raise _wrong("topic_arns: missing. Fix: the ARNs of your own topics: anyone has some")
        if way != SNS and not self.secrets:
            raise _wrong("secrets: missing. Fix: secrets = ['env:VARIABLE'], two while you rotate")
        if way == "hmac" and not self.header:
            raise _wrong("header: missing. Fix: the name of the header with the signature")
        return self

    @property
    def way(self) -> str:
        """How requests are verified; "none" where nothing proves who calls."""
        if self.unverified:
            return NOBODY
        return self.verify or DEFAULT_WAYS.get(self.provider, NOBODY)

    @property
    def adapter(self) -> Provider:
        """How callbacks are read."""
        return ADAPTERS[self.provider]

    @cached_property
    def options(self) -> Options:
        """What the adapter has to know."""
        parameters = {str(ours): theirs for ours, theirs in self.parameters.items()}
        return Options(self.zone or "", self.codes or "", by_key(self.statuses), parameters)

    @property
    def details(self) -> Details:
        """What the scheme of the signature has to know."""
        return Details(self.window_s, self.header, self.algorithm, self.encoding, self.prefix)

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those that may call; (): all."""
        return tuple(ip_network(each) for each in self.allow_ips)


class EndpointsFile(NamedTuple):
    """The content of the file. trusted_proxies: networks whose X-Forwarded-For is believed"""

    endpoints: Mapping[str, Endpoint]
    trusted_proxies: tuple[Network, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    trusted_proxies: list[Annotated[str, AfterValidator(_network)]] = []
    public_url: Annotated[str, AfterValidator(_https)] = ""
    endpoints: dict[str, dict[str, Any]] = {}


def read_endpoints(text: str) -> EndpointsFile:
    """The file of endpoints. Raises BadEndpoints with every mistake."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadEndpoints([f"the file is not TOML: {error}"]) from None
    problems: list[str] = []
    file = _validated(_File, found, "", problems)
    if file is None:
        raise BadEndpoints(problems)
    endpoints = {}
    for name, keys in file.endpoints.items():
        where = f"endpoints.{name}"
        if not _NAME.fullmatch(name):
            problems.append(f"{where}: not a name. Fix: a to z, 0 to 9 and -, at most 64")
        if file.public_url:
            keys = {"public_url": file.public_url, **keys}
        endpoint = _validated(Endpoint, keys, where, problems)
        if endpoint is not None:
            if not endpoint.public_url:
                problems.append(f"{where}.public_url: missing. Fix: once at the top of the file")
            endpoints[name] = endpoint
    problems += _id_conflicts(endpoints)
    if problems:
        raise BadEndpoints(problems)
    return EndpointsFile(endpoints, tuple(map(ip_network, file.trusted_proxies)))


def _validated(
    model: type[Model], given: Mapping[str, Any], where: str, problems: list[str]
) -> Model | None:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            path = ".".join(filter(None, (where, *(str(part) for part in detail["loc"]))))
            if detail["type"] == "extra_forbidden":
                known = ", ".join(Endpoint.model_fields)
                problems.append(f"{path}: no such key. Fix: one of {known}")
            else:
                problems.append(f"{path}: {detail['msg']}")
        return None


def _id_conflicts(endpoints: Mapping[str, Endpoint]) -> list[str]:
    """Endpoints of one provider of one account share their ids, so they compare them alike; and a
    sender names a provider, or an endpoint."""
    rules: dict[tuple[str, str], tuple[str, list[IdRule]]] = {}
    problems = []
    for name, endpoint in endpoints.items():
        namesake = adapter_of(name)
        if namesake is not None and namesake.name != endpoint.provider:
            problems.append(
                f"endpoints.{name}: {namesake.name} has this name, and ids of either would be "
                "compared as those of the other. Fix: another name"
            )
        key = (endpoint.account, endpoint.provider)
        other, known = rules.setdefault(key, (name, endpoint.ids))
        if known != endpoint.ids:
            problems.append(
                f"endpoints.{name}.ids: {other} of the same account and provider has others. "
                "Fix: the same rules for both"
            )
    return problems
