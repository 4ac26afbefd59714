"""What can go wrong while writing, by what the caller should do.

SinkError
├── Unavailable   back off and try the same again: server down, slow, overloaded, read-only
├── BadRows       the rows are at fault: bisect, dead-letter the bad ones, go on
└── Broken        stop: schema, rights or settings are wrong; trying again cannot help
"""


class SinkError(Exception):
    """Base of everything the sink raises on purpose. The text is meant for people."""


class Unavailable(SinkError):
    """ClickHouse cannot take the rows now; nothing is wrong with them."""


class BadRows(SinkError):
    """At least one row of the insert cannot be stored. The text is ClickHouse's or the driver's."""


class Broken(SinkError):
    """Something a person has to mend first."""
