"""Whether timers of a partition's correlations are what their links and receipts lead to. Pure."""

from models.correlation import decode
from models.masking import mask_key
from models.time import DAY_MS
from streams.batching import Row
from streams.common.proof import ANYTHING, Findings, Follows, TableProof, second_of
from streams.correlation.shard import CorrelationShard


class CorrelationsProof(TableProof):
    """The correlations of one partition.

    shard: made of the store, nothing folded; it knows the settings that timers were set by
    """

    def __init__(self, shard: CorrelationShard, findings: Findings) -> None:
        super().__init__(findings)
        self._rules = shard.armed_by

    def follow(self, key: bytes, value: bytes) -> Follows:
        """See TableProof."""
        if self._rules is None:
            self.findings.leave("the settings that its timer was set by are not known")
            return ANYTHING
        state = decode(value)
        reported = set(state.reported)
        newest = max(
            [link.at for link in state.links] + [each.received_at for each in state.waiting],
            default=0,
        )
        ends = newest + self._rules.retention_days * DAY_MS
        patience = self._rules.unmatched_days * DAY_MS
        known = {each.digest for each in state.waiting if each.origin + each.digest in reported}
        waiting = [each for each in state.waiting if each.digest not in known]
        due = min([ends, *(each.received_at + patience for each in waiting)])
        return Follows(frozenset({second_of(max(1, due))}), None)

    def confirms_day(self, row: Row, day: int) -> bool:
        """See TableProof: no day ends a correlation."""
        return False

    def shown(self, key: bytes) -> str:
        """See TableProof."""
        return mask_key(key)
