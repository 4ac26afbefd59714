"""What a replay would change: callbacks as they are read today, and what ClickHouse has of them."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from deploy.kafka.callbacks_client import KeptCallback
from models.accounts import AccountSettings, parse_account
from models.contract import Receipt
from models.correlation import ReceivedReceipt, event_of, named_by
from models.endpoints import Endpoint
from models.providers.callback import Inbound, ProviderReceipt, meaning_of
from models.reading import ReadItem, read_callback
from models.refusal import Refusal
from models.replays import (
    Change,
    Effect,
    compared,
    compared_meaning,
    earlier_of,
    has_code,
    receipt_of,
)
from reports.query.database import Database

#: Receipts that are compared at once.
_CHUNK: Final = 500

_EVENTS: Final = """
SELECT
    toUnixTimestamp64Milli(assumeNotNull(received_at)) AS came, message_id, status, bounce, scope,
    error_code, error_text AS reason, provider, provider_message_id, recipient,
    part, parts, mccmnc, toString(price) AS price, currency, ifNull(attempt, 0) AS attempt,
    toUnixTimestamp64Milli(occurred_at) AS at
FROM receipt_events_current
WHERE account = {account:String}
    AND occurred_at BETWEEN fromUnixTimestamp64Milli({first:Int64}) - INTERVAL 2 DAY
        AND fromUnixTimestamp64Milli({last:Int64}) + INTERVAL 2 DAY
    AND toUnixTimestamp64Milli(ifNull(received_at, toDateTime64(0, 3, 'UTC')))
        IN {times:Array(Int64)}
"""
_OUTCOMES: Final = """
SELECT message_id, error_code, outcome
FROM messages_current
WHERE account = {account:String} AND message_id IN {ids:Array(String)}
    AND outcome IN ('undelivered_soft', 'undelivered_hard', 'rejected')
"""
_CODES: Final = "SELECT codes FROM accounts_current WHERE account = {account:String}"


class Preview:
    """What is counted of a replay.

    callbacks: that would be replayed. refused: callbacks of which nothing can be read: they stay as
    they are. empty: those without receipts and messages. partly: those of which a part cannot be
    read
    """

    def __init__(self) -> None:
        self.callbacks = self.refused = self.empty = self.partly = 0
        self.items: Counter[str] = Counter()
        self.changes: Counter[Change] = Counter()

    def count(self, items: Sequence[ReadItem]) -> None:
        """Count a callback."""
        is_refused = any(each.fault for each in items)
        if not is_useful(items):
            self.refused += is_refused
            self.empty += not is_refused
            return
        self.callbacks += 1
        self.partly += is_refused
        self.items.update(filter(None, map(_word, items)))


def is_useful(items: Sequence[ReadItem]) -> bool:
    """Whether a callback is replayed: anything in it goes on to a message."""
    return any(each.receipt is not None or isinstance(each.item, Inbound) for each in items)


def _word(read: ReadItem) -> str:
    """ "": it goes nowhere."""
    if isinstance(read.item, ProviderReceipt):
        status, bounce, _ = meaning_of(read.item)
        return f"{status} {bounce}".strip()
    return "inbound" if isinstance(read.item, Inbound) else ""


async def preview_of(
    callbacks: AsyncIterator[KeptCallback], endpoint: Endpoint, database: Database | None
) -> Preview:
    """Read all of them. database: None: nothing is compared. Raises CommandError, DatabaseError."""
    preview, chunk = Preview(), list[ReceivedReceipt]()
    comparison = None
    if database is not None:
        comparison = await asyncio.to_thread(Comparison.of, database, endpoint.account)
    async for kept in callbacks:
        items = read_callback(kept.raw, endpoint)
        preview.count(items)
        chunk += [each.receipt for each in items if each.receipt is not None]
        if len(chunk) >= _CHUNK:
            await _compare(preview, comparison, chunk)
            chunk = []
    await _compare(preview, comparison, chunk)
    return preview


async def _compare(
    preview: Preview, comparison: "Comparison | None", receipts: Sequence[ReceivedReceipt]
) -> None:
    if receipts and comparison is not None:
        preview.changes.update(await asyncio.to_thread(comparison.changes, receipts))


class Comparison(NamedTuple):
    """Compares receipts with those that ClickHouse has. settings: of the account"""

    database: Database
    account: str
    settings: AccountSettings

    @classmethod
    def of(cls, database: Database, account: str) -> "Comparison":
        """Raises DatabaseError."""
        codes: dict[str, Any] = {}
        for (written,) in database.rows(_CODES, {"account": account}).rows:
            codes = {name: msgspec.json.decode(meaning) for name, meaning in written.items()}
        read = parse_account(msgspec.json.encode({"account": account, "codes": codes}))
        settings = AccountSettings(account=account) if isinstance(read, Refusal) else read
        return cls(database, account, settings)

    def changes(self, receipts: Sequence[ReceivedReceipt]) -> list[Change]:
        """What each of them changes. Raises DatabaseError."""
        known = self._known(receipts)
        found: list[Change] = []
        equal: list[Receipt] = []
        for each in receipts:
            now, before = self._pair(each, known[each.received_at])
            if now is None:
                found.append(Change(Effect.REFUSED, "", each.status))
                continue
            change = compared(now, before, self.settings)
            if change.effect is Effect.SAME and has_code(now):
                equal.append(now)
            else:
                found.append(change)
        return [*found, *self._by_meaning(equal)]

    def _known(self, receipts: Sequence[ReceivedReceipt]) -> Mapping[int, list[Receipt]]:
        """Receipts in ClickHouse by the time of their callbacks, if they occurred about then."""
        times = [each.occurred_at or each.received_at for each in receipts]
        parameters = {
            "account": self.account,
            "times": sorted({each.received_at for each in receipts}),
            "first": min(times),
            "last": max(times),
        }
        known: defaultdict[int, list[Receipt]] = defaultdict(list)
        for row in self.database.rows(_EVENTS, parameters).records():
            came, at, attempt = row["came"], row["at"], row["attempt"] or None
            event = {name: row[name] for name in row if name not in ("came", "at", "attempt")}
            event |= {"account": self.account, "occurred_at": at, "attempt": attempt}
            if (receipt := receipt_of(event)) is not None:
                known[came].append(receipt)
        return known

    def _pair(
        self, receipt: ReceivedReceipt, known: Sequence[Receipt]
    ) -> tuple[Receipt | None, list[Receipt]]:
        """The event of a receipt today, None: it is none, and its earlier ones. One that does not
        name its message has that of the earlier one."""
        named = named_by(receipt.reference, self.account)
        before = earlier_of(known, receipt.provider_message_id, named[0] if named else "")
        if named is not None:
            whom = named
        elif before:
            whom = before[0].message_id, before[0].attempt or 0
        else:
            whom = "?", 0
        _, event = event_of(receipt, self.account, *whom)
        return receipt_of(msgspec.json.decode(event)), before

    def _by_meaning(self, equal: Sequence[Receipt]) -> Iterator[Change]:
        """Of equal failures: whether their codes mean something else than when they were joined."""
        if not equal:
            return
        ids = sorted({each.message_id for each in equal})
        rows = self.database.rows(_OUTCOMES, {"account": self.account, "ids": ids}).rows
        outcomes = {(message_id, code): outcome for message_id, code, outcome in rows}
        for each in equal:
            outcome = outcomes.get((each.message_id, each.error_code), "")
            yield compared_meaning(each, outcome, self.settings)
