"""An outbound message."""

from typing import NamedTuple

from deploy.simulator.traffic.load_profiles import Campaign
from deploy.simulator.traffic.profiles import Account


class Message(NamedTuple):
    """The facts that are the same in all attempts of one outbound message."""

    account: Account
    message_id: str
    key: bytes
    person: int
    country: str
    recipient: str
    whatsapp: bool
    source: str
    campaign: Campaign | None
    sent_ms: int
    validity_s: int
    switched_off: bool  # the handset stays off for days
