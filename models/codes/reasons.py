"""The closed list of reasons: why a message failed, in words for people. One reason a cause."""

from typing import Final

UNKNOWN_SUBSCRIBER: Final = "unknown subscriber"
UNREACHABLE: Final = "absent or switched off"
BARRED: Final = "barred or not able to receive"
NOT_ON_WHATSAPP: Final = "not on WhatsApp"
BUSY: Final = "handset busy"
MEMORY_FULL: Final = "handset memory full"
RECIPIENT_CREDIT: Final = "recipient out of credit"
OPTED_OUT: Final = "opted out"
BLOCKED_BY_RECIPIENT: Final = "blocked by the recipient"
BLOCKED: Final = "blocked"
CONTENT_REFUSED: Final = "content refused"
NOT_VALID: Final = "message not valid"
TOO_LONG: Final = "message too long"
DUPLICATE: Final = "duplicate message"
SENDER_REFUSED: Final = "sender not allowed"
ACCOUNT_REFUSED: Final = "account not allowed"
NO_CREDIT: Final = "no credit"
THROTTLED: Final = "too many messages"
NO_ROUTE: Final = "no route to the network"
NETWORK_ERROR: Final = "network error"
WINDOW_CLOSED: Final = "outside the allowed time"
EXPIRED: Final = "expired"
CANCELED: Final = "canceled"
UNEXPLAINED: Final = "not explained by the provider"
OTHER: Final = "other"

#: Every reason with its cause. The tables may name those before `OTHER` only.
REASONS: Final[dict[str, str]] = {
    UNKNOWN_SUBSCRIBER: "The number does not exist, is no longer in use or is not valid.",
    UNREACHABLE: "The phone was off, out of coverage or not reachable for now.",
    BARRED: "The number or its phone cannot receive such messages: a landline, no SMS service, "
    "a barred subscription, roaming.",
    NOT_ON_WHATSAPP: "The number has no WhatsApp account that can receive the message.",
    BUSY: "The phone was busy with another call or message.",
    MEMORY_FULL: "The phone or the network's waiting list for it has no room.",
    RECIPIENT_CREDIT: "The recipient's prepaid account cannot pay for the message.",
    OPTED_OUT: "The recipient unsubscribed, for instance with STOP, or gave no consent.",
    BLOCKED_BY_RECIPIENT: "The recipient blocks this sender, or all such senders (do not disturb).",
    BLOCKED: "A network, a provider or a blocked list refuses the message without more detail.",
    CONTENT_REFUSED: "A filter refuses the content: spam, a policy, an unregistered template.",
    NOT_VALID: "The message is malformed: a missing or wrong parameter, template or media file.",
    TOO_LONG: "The text or the media file is too large.",
    DUPLICATE: "The same message was sent before.",
    SENDER_REFUSED: "The sender id or number is not registered, not verified or blocked.",
    ACCOUNT_REFUSED: "The account is suspended or may not send this: a region, a product, a test "
    "account.",
    NO_CREDIT: "The account's credit, spending limit or maximum price does not allow it.",
    THROTTLED: "A limit on the number of messages was reached.",
    NO_ROUTE: "There is no way to the recipient's network.",
    NETWORK_ERROR: "A network or a provider failed.",
    WINDOW_CLOSED: "The message may not be sent at this time, or not before the recipient writes.",
    EXPIRED: "The message was not delivered within its validity.",
    CANCELED: "The sender or the provider canceled the message.",
    UNEXPLAINED: "The provider names no cause.",
    OTHER: "The provider names a cause that is not in this list; its words are kept.",
}
