"""Refusals are values: why an event cannot be used, so that its producer can fix it."""

from enum import StrEnum

import msgspec

#: Characters of a detail that fit in its header.
MAX_DETAIL = 1_000


class Reason(StrEnum):
    """The `reason` header of a dead letter. These words are stable."""

    EMPTY = "empty"
    OVERSIZED = "oversized"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    BAD_VALUE = "bad_value"
    BAD_TIME = "bad_time"
    BAD_NUMBER = "bad_number"
    TOO_LATE = "too_late"
    MISROUTED = "misrouted"
    INTERNAL_ERROR = "internal_error"
    BAD_ROW = "bad_row"
    UNREADABLE = "unreadable"


class Refusal(msgspec.Struct, frozen=True):
    """Why an event is refused. detail: the field and its problem, as "field: message"."""

    reason: Reason
    detail: str

    def headers(
        self, topic: str, partition: int, offset: int, timestamp: int
    ) -> list[tuple[str, bytes]]:
        """Headers of the dead letter of a record at that position; all UTF-8 text.

        timestamp: the record's own, epoch ms
        """
        texts = {
            "reason": self.reason.value,
            "detail": self.detail[:MAX_DETAIL],
            "topic": topic,
            "partition": str(partition),
            "offset": str(offset),
            "time": str(timestamp),
        }
        return [(name, text.encode(errors="replace")) for name, text in texts.items()]
