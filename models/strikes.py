"""Strikes: what the outcome of a message means for its recipient.

Only a hard bounce with scope recipient is a strike. One message is at most one strike; when its
outcome changes, the strike is withdrawn. Records carry the version of the message, so their order
does not matter.
"""

from typing import Annotated, Final, Literal, NamedTuple, cast

import msgspec
from msgspec import Meta

from models.facts import strikes
from models.keys import recipient_key
from models.numbers import PERSON_PATTERN, person_of
from models.refusal import Reason, Refusal
from models.state import MessageState, is_pending
from models.vocabulary import Channel

Kind = Literal["struck", "withdrawn", "delivered"]

#: The limits of the event contract: beyond them the recipient's record could grow too large, or an
#: integer could be too large for readers.
Account = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9._-]+$")]
Recipient = Annotated[str, Meta(pattern=PERSON_PATTERN)]
MessageId = Annotated[str, Meta(min_length=1, max_length=128, pattern="^[^/]+$")]
Code = Annotated[str, Meta(max_length=64)]
Instant = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
Version = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Strike(msgspec.Struct, frozen=True):
    """One record of `strikes`, keyed by `account/person`. Times in epoch ms.

    kind: `delivered` is produced only for accounts that reset strikes on delivery
    channel: of the attempt that bounced; "": written before strikes had one, it is about all
    """

    kind: Kind
    account: Account
    recipient: Recipient
    message_id: MessageId
    sent_at: Instant
    version: Version
    occurred_at: Instant
    code: Code = ""
    channel: Channel | Literal[""] = ""

    @property
    def key(self) -> bytes:
        return recipient_key(self.account, self.recipient)


class ActiveStrike(NamedTuple):
    """The strike that a message is now, against a person. Times in epoch ms."""

    recipient: str
    sent_at: int
    occurred_at: int
    code: str
    channel: Channel

    @property
    def place(self) -> tuple[str, int, str]:
        """Where it counts: recipient, time of the first send and channel."""
        return self.recipient, self.sent_at, self.channel


def active_strike(state: MessageState) -> ActiveStrike | None:
    """The strike that follows from a state; None: it is not a strike."""
    outcome = state.outcome
    if (
        outcome is None
        or not strikes(outcome)
        or not state.sends
        or state.sends[0].direction == "inbound"
        or is_pending(state)
    ):
        return None
    first = state.sends[0]
    return ActiveStrike(
        person_of(first.recipient),
        first.first_sent_at,
        outcome.occurred_at,
        outcome.error_code,
        channel_of(state, outcome.attempt),
    )


def channel_of(state: MessageState, attempt: int) -> Channel:
    """The channel of an attempt; of the first send known if that of the attempt is not."""
    channels = (send.channel for send in state.sends if send.attempt == attempt)
    return cast("Channel", next(channels, state.sends[0].channel))


_encoder: Final = msgspec.json.Encoder()
encode_strike: Final = _encoder.encode
_decode: Final = msgspec.json.Decoder(Strike).decode


def parse_strike(value: bytes | None) -> Strike | Refusal:
    """Parse one record of `strikes`."""
    if not value:
        return Refusal(Reason.EMPTY, "value: empty; expected a strike")
    try:
        return _decode(value)
    except msgspec.ValidationError as error:
        return Refusal(Reason.BAD_VALUE, f"value: {error}")
    except msgspec.DecodeError as error:
        return Refusal(Reason.NOT_JSON, f"value: {error}")
