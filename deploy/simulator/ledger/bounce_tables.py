"""Compares strikes, suppressed numbers, retry requests and settings with the tables."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from deploy.simulator.ledger import queries as tables
from deploy.simulator.ledger.findings import Findings
from deploy.simulator.ledger.queries import Client, columns
from deploy.simulator.oracle.expect import RECIPIENT, Decision, Expected
from deploy.simulator.oracle.rules import Rules
from deploy.simulator.oracle.suppression import CLEAR, Standing, Strike


class Seen(NamedTuple):
    """Rows found: messages that struck, suppressed numbers, retry requests."""

    strikes: int
    suppressed: int
    retries: int


def compare(findings: Findings, client: Client, expected: Expected) -> Seen:
    """Finds what differs. Errors of the client are raised, not swallowed."""
    _compare_accounts(findings, client, expected)
    _compare_decisions(findings, client, expected)
    return Seen(
        _compare_strikes(findings, client, expected),
        _compare_numbers(findings, client, expected),
        _compare_retries(findings, client, expected),
    )


def _compare_strikes(findings: Findings, client: Client, expected: Expected) -> int:
    """Each message at most once; a withdrawn strike only where there was one to withdraw."""
    names = columns("recipient", "sent_at", "occurred_at", "code")
    query = f"SELECT struck, account, message_id, {names} FROM strikes_current"
    seen: Counter[tuple[str, str]] = Counter()
    for struck, account, message_id, *rest in tables.rows(client, query):
        key, strike = (account, message_id), Strike(*rest)
        wanted = expected.strikes.get(key)
        name = f"{account}/{message_id}"
        if not struck:
            if key not in expected.may_strike:
                findings.add("wrong_strikes", f"{name}: withdrawn, and never was one")
            continue
        seen[key] += 1
        if seen[key] > 1:
            findings.add("wrong_strikes", f"{name}: struck twice")
        elif strike != wanted:
            findings.add("wrong_strikes", f"{name}: {strike}, not {wanted}")
    for account, message_id in expected.strikes.keys() - seen.keys():
        findings.add("wrong_strikes", f"{account}/{message_id}: missing or withdrawn")
    return seen.total()


def _compare_numbers(findings: Findings, client: Client, expected: Expected) -> int:
    """Every number stands as expected; those without a row are clear."""
    query = f"SELECT account, recipient, {columns(*Standing._fields)} FROM suppressions"
    found: dict[tuple[str, str], Standing] = {}
    for account, recipient, suppressed, reasons, *rest in tables.rows(client, query):
        if (account, recipient) in found:
            findings.add("wrong_suppressions", f"{account}/{recipient}: two rows")
        found[account, recipient] = Standing(bool(suppressed), tuple(reasons), *rest)
    for key in (found.keys() | expected.numbers.keys()) - expected.unsettled_numbers:
        is_, should = found.get(key, CLEAR), expected.numbers.get(key, CLEAR)
        if is_ != should:
            findings.add("wrong_suppressions", f"{'/'.join(key)}: {is_}, not {should}")
    return sum(standing.suppressed for standing in found.values())


def _compare_retries(findings: Findings, client: Client, expected: Expected) -> int:
    """Those that must be there are; no others than may be there, and none twice."""
    names = columns("due_at", "first_sent_at", "recipient", "channel")
    query = f"SELECT account, message_id, attempt, {names} FROM retry_requests_current"
    seen: Counter[tuple[str, str, int]] = Counter()
    for account, message_id, attempt, due_at, first_sent_at, *who in tables.rows(client, query):
        key = (account, message_id, attempt)
        seen[key] += 1
        ask = expected.may_ask.get(key)
        if seen[key] > 1:
            findings.add("wrong_retries", f"{key}: twice")
        elif ask is None:
            findings.add("wrong_retries", f"{key}: nothing to try again")
        elif due_at not in ask.due_at or first_sent_at not in ask.first_sent_at:
            findings.add("wrong_retries", f"{key}: due {due_at} from {first_sent_at}, not {ask}")
        elif who != [ask.recipient, ask.channel]:
            findings.add("wrong_retries", f"{key}: to {who}, not {ask}")
    for key in expected.must_ask - seen.keys():
        findings.add("wrong_retries", f"{key}: missing, {expected.may_ask[key]}")
    return seen.total()


def _compare_accounts(findings: Findings, client: Client, expected: Expected) -> None:
    """The newest record of each account, with the defaults for what it leaves out."""
    query = f"SELECT account, {columns(*Rules._fields)} FROM accounts_current"
    found: dict[str, Rules] = {}
    for account, *rest, reasons in tables.rows(client, query):
        own_words = tuple(sorted(dict(reasons).items()))
        found[account] = Rules(*rest)._replace(fail_reasons=own_words)
    for account in found.keys() | expected.accounts.keys():
        is_, should = found.get(account), expected.accounts.get(account)
        if is_ != should:
            findings.add("wrong_others", f"settings of {account}: {is_}, not {should}")


def _compare_decisions(findings: Findings, client: Client, expected: Expected) -> None:
    """What people decided about numbers, and what the worker made of unsubscribes."""
    names = columns("account", "recipient", "at", "action", "who", "why")
    found = {
        _decision(row)
        for row in tables.rows(client, f"SELECT {names} FROM suppression_requests_current")
    }
    for decision in expected.decisions - found:
        findings.add("wrong_others", f"decision missing: {decision}")
    for decision in found - expected.decisions:
        findings.add("wrong_others", f"decision nobody made: {decision}")


def _decision(row: tuple[str, str, int, str, str, str]) -> Decision:
    """The worker's own words for why somebody unsubscribed do not matter."""
    return (*row[:5], "" if row[4] == RECIPIENT else row[5])
