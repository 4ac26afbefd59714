"""Errors of writing, by what the caller should do.

SinkError
├── Unavailable   back off and retry the same: server down, slow, overloaded, read-only
├── BadRows       bisect, dead-letter the bad rows, go on
└── Broken        stop: schema, rights or settings are wrong; a retry cannot help
"""


class SinkError(Exception):
    """Base of the errors of the sink. The text is meant for people."""


class Unavailable(SinkError):
    """ClickHouse cannot store the rows now; the rows are fine."""


class BadRows(SinkError):
    """At least one row cannot be stored. The text is from ClickHouse or the driver."""


class Broken(SinkError):
    """A person has to fix something first."""
