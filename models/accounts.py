"""Settings of each account; an account without a record has the defaults.

A change affects only what happens after it: it never rewrites what was counted, expired, struck or
suppressed before (docs/semantics.md).
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from models.codes import code_names
from models.contract import MAX_EVENT_BYTES, Account, Event, Instant, Sentence
from models.parsing import validated
from models.refusal import Refusal
from models.time import is_zone
from models.vocabulary import BounceWord, Scope

MAX_STRIKE_LIMIT: Final = 20

#: Accounts without a record whose defaults are cached.
MAX_DEFAULTS: Final = 10_000

Seconds = Annotated[int, Field(ge=60, le=31_536_000)]
Days = Annotated[int, Field(ge=1, le=3_650)]
#: "provider:code", or only a code for every provider.
CodeName = Annotated[str, StringConstraints(min_length=1, max_length=129)]


def _known_zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError(f"{name!r} is not a time zone of the IANA database")
    return name


def _in_lower_case(reasons: Mapping[str, str]) -> Mapping[str, str]:
    """Providers and codes are compared case-insensitively."""
    return {code.lower(): words for code, words in reasons.items()}


class CodeMeaning(BaseModel):
    """What a provider's code means to one account; what is absent is as in our tables."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    bounce: BounceWord | None = None
    scope: Scope | None = None
    reason: Sentence | None = None


def _checked(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """A mistake in a meaning names its code, not only the field of the settings."""
    try:
        return check(value)
    except ValidationError as wrong:
        error = wrong.errors(include_url=False, include_context=False)[0]
        where = [str(part) for part in error["loc"] if part != "[key]"]
        where[:1] = map(repr, where[:1])
        kind = "code_type" if error["type"].endswith("_type") else "code_value"
        text = ": ".join([*where, error["msg"].removeprefix("Value error, ")])
        raise PydanticCustomError(kind, "{text}", {"text": text}) from None


def _by_code(meanings: Mapping[str, CodeMeaning]) -> Mapping[str, CodeMeaning]:
    """Names as `code_names` gives them; two names of one code are a mistake."""
    found: dict[str, CodeMeaning] = {}
    names: dict[str, str] = {}
    for name, meaning in meanings.items():
        provider, colon, code = name.partition(":")
        key = code_names(provider, code)[0] if colon else code_names("", name)[1]
        if key in found:
            raise ValueError(f"{name!r} and {names[key]!r} are the same code")
        found[key], names[key] = meaning, name
    return found


class AccountSettings(Event):
    """One record of `accounts`, keyed by account; the latest record replaces all before it."""

    account: Account
    updated_at: Instant | None = None
    suppress_hard_bounces: bool = Field(default=True, description="strikes suppress a recipient")
    strike_limit: Annotated[int, Field(ge=1, le=MAX_STRIKE_LIMIT)] = 3
    strikes_reset_on_delivery: bool = Field(
        default=False, description="a delivery to the recipient resets the count of strikes"
    )
    suppression_days: Days | None = Field(
        default=None, description="days a suppression by strikes lasts; absent: until released"
    )
    retry_soft_bounces: bool = True
    retry_every_s: Seconds = 3_600
    retry_for_s: Annotated[
        int, Field(ge=0, le=604_800, description="from the first send; no retry is due after it")
    ] = 172_800
    validity_s: Annotated[int, Field(ge=60, le=604_800)] = Field(
        default=259_200, description="default for messages whose send has none"
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC", description="of this account's reports"
    )
    text_days: Days | None = Field(default=None, description="days its message texts are kept")
    recipient_days: Days | None = Field(default=None, description="days its recipients are kept")
    fail_reasons: Annotated[Mapping[CodeName, Sentence], AfterValidator(_in_lower_case)] = Field(
        default_factory=dict,
        description='human reasons that override ours, by "provider:code" or code',
    )
    codes: Annotated[
        Mapping[CodeName, CodeMeaning], AfterValidator(_by_code), WrapValidator(_checked)
    ] = Field(
        default_factory=dict,
        description='meanings that override our tables, by "provider:code" or code',
    )
    unsubscribe_binds: Literal["marketing", "all"] = Field(
        default="marketing",
        description="messages that an unsubscribe binds; marketing: all but verification messages",
    )

    def meaning_of(self, provider: str, code: str) -> CodeMeaning | None:
        """What a provider's code means to this account; None: as in our tables.

        An entry of the provider precedes one of the code alone.
        """
        if not self.codes:
            return None
        of_provider, of_all = code_names(provider, code)
        return self.codes.get(of_provider) or self.codes.get(of_all)


def parse_account(value: bytes | None, limit: int = MAX_EVENT_BYTES) -> AccountSettings | Refusal:
    """Parse one record of `accounts`."""
    return validated(AccountSettings, value, limit)


class Accounts:
    """The published settings of all accounts; accounts without them have the defaults."""

    def __init__(self) -> None:
        self._published: dict[str, AccountSettings] = {}
        self._defaults: dict[str, AccountSettings] = {}

    def of(self, account: str) -> AccountSettings:
        """The settings in force."""
        found = self._published.get(account) or self._defaults.get(account)
        if found is None:
            if len(self._defaults) >= MAX_DEFAULTS:
                self._defaults.clear()
            found = self._defaults[account] = AccountSettings(account=account)
        return found

    def publish(self, settings: AccountSettings) -> AccountSettings:
        """Put settings in force; returns those in force before."""
        before = self.of(settings.account)
        self._published[settings.account] = settings
        return before

    def withdraw(self, account: str) -> None:
        """Apply a tombstone: the account has the defaults again."""
        self._published.pop(account, None)

    def published(self) -> list[str]:
        """Accounts that have settings of their own."""
        return list(self._published)

    def fingerprint(self, account: str) -> bytes | None:
        """Differs between different settings; None: the account has the defaults."""
        settings = self._published.get(account)
        if settings is None:
            return None
        return blake2b(settings.model_dump_json().encode(), digest_size=16).digest()
