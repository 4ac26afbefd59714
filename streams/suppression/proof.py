"""Whether timers of a partition's recipients are what their suppressions lead to. Pure."""

from models.accounts import Accounts, AccountSettings
from models.masking import mask_person_key
from models.suppression import Suppression, SuppressionStatus, decode, keep_unknown, status_of
from streams.batching import Row
from streams.common.proof import Findings, Follows, TableProof, second_of
from streams.suppression.shard import RecipientShard, is_to_move


class RecipientsProof(TableProof):
    """The suppressions of one partition, against its shard.

    shard: made of the store, nothing folded; its accounts are those that are known now
    """

    def __init__(self, shard: RecipientShard, findings: Findings) -> None:
        super().__init__(findings)
        self._accounts = shard.accounts
        self._changed = shard.accounts_to_rearm()

    def follow(self, key: bytes, value: bytes) -> Follows:
        """See TableProof."""
        suppression = decode(value)
        if suppression.account in self._changed:
            self.findings.leave("the settings of its account changed, or are not known here")
            return Follows(None, None)
        if is_to_move(key, suppression):
            self.findings.leave("it moves to another key")
            return Follows(None, None)
        return Follows(lapse_seconds(suppression, self._accounts), None)

    def confirms_day(self, row: Row, day: int) -> bool:
        """See TableProof: no day ends a suppression."""
        return False

    def shown(self, key: bytes) -> str:
        """See TableProof."""
        return mask_person_key(key)


def lapse_seconds(suppression: Suppression, accounts: Accounts) -> frozenset[int]:
    """The seconds of the timer that may follow from a suppression; 0: none.

    It depends on the clock at which it was set, which is not stored: the published status shows
    between which lapses that was. A restore sets the first.
    """
    settings = accounts.of(suppression.account)
    statuses = [_status(suppression, settings, 0)]
    while lapses_at := statuses[-1].lapses_at:
        statuses.append(_status(suppression, settings, lapses_at))
    matching = [status for status in statuses if suppression.matches(status)]
    return frozenset(
        second_of(status.lapses_at) for status in (statuses[0], *(matching or statuses))
    )


def _status(known: Suppression, settings: AccountSettings, clock_ms: int) -> SuppressionStatus:
    return keep_unknown(status_of(known.facts, settings, clock_ms), known)
