"""Compares strikes, suppressions, retry requests and account settings."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NamedTuple

from deploy.simulator.ledger import queries as tables
from deploy.simulator.ledger.findings import Findings
from deploy.simulator.ledger.queries import Client, columns
from deploy.simulator.oracle.expect import RECIPIENT, ChannelKey, Expected
from deploy.simulator.oracle.numbers import person_of
from deploy.simulator.oracle.rules import CodeEntry, Rules
from deploy.simulator.oracle.suppression import (
    NOT_SUPPRESSED,
    Decision,
    RecipientStatus,
    Strike,
)


class Seen(NamedTuple):
    """Rows found: strikes, suppressed recipients by channel, retry requests."""

    strikes: int
    suppressed: Counter[str]
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
    names = columns("recipient", "sent_at", "occurred_at", "code", "channel")
    query = f"SELECT struck, account, message_id, {names} FROM strikes_current"
    seen: Counter[tuple[str, str]] = Counter()
    for struck, account, message_id, recipient, *rest in tables.rows(client, query):
        key, strike = (account, message_id), Strike(person_of(recipient), *rest)
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


def _compare_recipients(findings: Findings, client: Client, expected: Expected) -> Counter[str]:
    """Every recipient has its expected status on each channel; those without a row are not
    suppressed."""
    names = columns(*RecipientStatus._fields)
    query = f"SELECT account, recipient, channel, {names} FROM suppressions"
    found: dict[ChannelKey, RecipientStatus] = {}
    for account, recipient, channel, suppressed, reasons, *rest in tables.rows(client, query):
        key = (account, recipient, channel)
        if key in found:
            findings.add("wrong_suppressions", f"{'/'.join(key)}: two rows")
        found[key] = RecipientStatus(bool(suppressed), tuple(reasons), *rest)
    for key in (found.keys() | expected.channels.keys()) - expected.undetermined_channels:
        actual = found.get(key, NOT_SUPPRESSED)
        wanted = expected.channels.get(key, NOT_SUPPRESSED)
        if actual != wanted:
            findings.add("wrong_suppressions", f"{'/'.join(key)}: {actual}, not {wanted}")
    return Counter(channel for (_, _, channel), status in found.items() if status.suppressed)


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
    for account, *rest, reasons, codes in tables.rows(client, query):
        fail_reasons = tuple(sorted(dict(reasons).items()))
        entries = {code: CodeEntry(**json.loads(entry)) for code, entry in dict(codes).items()}
        own = tuple(sorted(entries.items()))
        found[account] = Rules(*rest)._replace(fail_reasons=fail_reasons, codes=own)
    for account in found.keys() | expected.accounts.keys():
        actual, wanted = found.get(account), expected.accounts.get(account)
        if actual != wanted:
            findings.add("wrong_others", f"settings of {account}: {actual}, not {wanted}")


def _compare_decisions(findings: Findings, client: Client, expected: Expected) -> None:
    """Published requests, and those that the worker makes of unsubscribes and opt-outs."""
    names = columns("account", "recipient", "at", "action", "who", "why", "channel")
    found = {
        _decision(row)
        for row in tables.rows(client, f"SELECT {names} FROM suppression_requests_current")
    }
    for decision in expected.decisions - found:
        findings.add("wrong_others", f"decision missing: {decision}")
    for decision in found - expected.decisions - expected.possible_decisions:
        findings.add("wrong_others", f"decision without a request: {decision}")
    for choice in expected.choices:
        if found.isdisjoint(choice):
            findings.add("wrong_others", f"decision missing, either of {choice}")


def _decision(row: tuple[Any, ...]) -> Decision:
    """Without the worker's text for the reason of what it decided itself, which may be any."""
    decision = Decision(row[0], person_of(row[1]), *row[2:])
    own = decision.who == RECIPIENT or decision.why.startswith("message ")
    return decision._replace(why="") if own else decision
