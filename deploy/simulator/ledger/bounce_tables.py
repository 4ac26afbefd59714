"""Compares strikes, suppressions, retry requests and account settings."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from deploy.simulator.ledger import queries as tables
from deploy.simulator.ledger.findings import Findings
from deploy.simulator.ledger.queries import Client, columns
from deploy.simulator.oracle.expect import RECIPIENT, Decision, Expected
from deploy.simulator.oracle.rules import Rules
from deploy.simulator.oracle.suppression import NOT_SUPPRESSED, RecipientStatus, Strike


class Seen(NamedTuple):
    """Rows found: strikes, suppressed recipients, retry requests."""

    strikes: int
    suppressed: int
    retries: int


def compare(findings: Findings, client: Client, expected: Expected) -> Seen:
    """Adds all differences to `findings`. Raises errors of the client."""
    _compare_accounts(findings, client, expected)
    _compare_decisions(findings, client, expected)
    return Seen(
        _compare_strikes(findings, client, expected),
        _compare_recipients(findings, client, expected),
        _compare_retries(findings, client, expected),
    )


def _compare_strikes(findings: Findings, client: Client, expected: Expected) -> int:
    """Each message at most once; a withdrawn strike only where one was possible."""
    names = columns("recipient", "sent_at", "occurred_at", "code")
    query = f"SELECT struck, account, message_id, {names} FROM strikes_current"
    seen: Counter[tuple[str, str]] = Counter()
    for struck, account, message_id, *rest in tables.rows(client, query):
        key, strike = (account, message_id), Strike(*rest)
        wanted = expected.strikes.get(key)
        name = f"{account}/{message_id}"
        if not struck:
            if key not in expected.may_strike:
                findings.add("wrong_strikes", f"{name}: withdrawn, but never a strike")
            continue
        seen[key] += 1
        if seen[key] > 1:
            findings.add("wrong_strikes", f"{name}: struck twice")
        elif strike != wanted:
            findings.add("wrong_strikes", f"{name}: {strike}, not {wanted}")
    for account, message_id in expected.strikes.keys() - seen.keys():
        findings.add("wrong_strikes", f"{account}/{message_id}: missing or withdrawn")
    return seen.total()


def _compare_recipients(findings: Findings, client: Client, expected: Expected) -> int:
    """Every recipient has its expected status; those without a row are not suppressed."""
    query = f"SELECT account, recipient, {columns(*RecipientStatus._fields)} FROM suppressions"
    found: dict[tuple[str, str], RecipientStatus] = {}
    for account, recipient, suppressed, reasons, *rest in tables.rows(client, query):
        if (account, recipient) in found:
            findings.add("wrong_suppressions", f"{account}/{recipient}: two rows")
        found[account, recipient] = RecipientStatus(bool(suppressed), tuple(reasons), *rest)
    for key in (found.keys() | expected.recipients.keys()) - expected.undetermined_recipients:
        actual = found.get(key, NOT_SUPPRESSED)
        wanted = expected.recipients.get(key, NOT_SUPPRESSED)
        if actual != wanted:
            findings.add("wrong_suppressions", f"{'/'.join(key)}: {actual}, not {wanted}")
    return sum(status.suppressed for status in found.values())


def _compare_retries(findings: Findings, client: Client, expected: Expected) -> int:
    """All required requests, none that is not allowed, and none twice."""
    names = columns("due_at", "first_sent_at", "recipient", "channel")
    query = f"SELECT account, message_id, attempt, {names} FROM retry_requests_current"
    seen: Counter[tuple[str, str, int]] = Counter()
    for account, message_id, attempt, due_at, first_sent_at, *who in tables.rows(client, query):
        key = (account, message_id, attempt)
        seen[key] += 1
        retry = expected.allowed_retries.get(key)
        if seen[key] > 1:
            findings.add("wrong_retries", f"{key}: twice")
        elif retry is None:
            findings.add("wrong_retries", f"{key}: not allowed")
        elif due_at not in retry.due_at or first_sent_at not in retry.first_sent_at:
            findings.add("wrong_retries", f"{key}: due {due_at} from {first_sent_at}, not {retry}")
        elif who != [retry.recipient, retry.channel]:
            findings.add("wrong_retries", f"{key}: to {who}, not {retry}")
    for key in expected.required_retries - seen.keys():
        findings.add("wrong_retries", f"{key}: missing, {expected.allowed_retries[key]}")
    return seen.total()


def _compare_accounts(findings: Findings, client: Client, expected: Expected) -> None:
    """The newest record of each account, with defaults for absent fields."""
    query = f"SELECT account, {columns(*Rules._fields)} FROM accounts_current"
    found: dict[str, Rules] = {}
    for account, *rest, reasons in tables.rows(client, query):
        fail_reasons = tuple(sorted(dict(reasons).items()))
        found[account] = Rules(*rest)._replace(fail_reasons=fail_reasons)
    for account in found.keys() | expected.accounts.keys():
        actual, wanted = found.get(account), expected.accounts.get(account)
        if actual != wanted:
            findings.add("wrong_others", f"settings of {account}: {actual}, not {wanted}")


def _compare_decisions(findings: Findings, client: Client, expected: Expected) -> None:
    """Published requests, and those that the worker makes of unsubscribes."""
    names = columns("account", "recipient", "at", "action", "who", "why")
    found = {
        _decision(row)
        for row in tables.rows(client, f"SELECT {names} FROM suppression_requests_current")
    }
    for decision in expected.decisions - found:
        findings.add("wrong_others", f"decision missing: {decision}")
    for decision in found - expected.decisions:
        findings.add("wrong_others", f"decision without a request: {decision}")


def _decision(row: tuple[str, str, int, str, str, str]) -> Decision:
    """Without the worker's text for the reason of an unsubscribe, which may be any."""
    return (*row[:5], "" if row[4] == RECIPIENT else row[5])
