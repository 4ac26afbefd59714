"""What a BatchApp reports while it runs, for metrics."""

from typing import Literal

from streams.kafka.errors import Kind


class Observer:
    """Does nothing: override what is wanted. Calls come from the app's loop and from the thread of
    its consumer; they must not raise."""

    def acknowledged(self, topic: str, records: int) -> None:
        """The broker acknowledged so many records of a topic."""

    def committed(self) -> None:
        """Offsets were committed."""

    def commit_failed(self) -> None:
        """A commit of offsets failed; it may be tried again."""

    def kafka_error(self, client: Literal["consumer", "producer"], kind: Kind) -> None:
        """A request failed, or a connection could not be opened; it may be tried again."""

    def wrote_states(self, seconds: float) -> None:
        """Changed values of all partitions were written to disk."""
