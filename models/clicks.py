"""When a click is a program's: link previews and scanners open links as a message arrives."""

from typing import Final

#: A click at most this long before or after the delivery of its message.
AFTER_DELIVERY_MS: Final = 2_000
#: A click at most this long before or after one on another link of the same message.
OTHER_LINK_MS: Final = 1_000
