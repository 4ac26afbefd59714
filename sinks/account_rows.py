"""Rows of what decides about bounces: accounts, strikes, suppressions, requests.

Accounts are refused here, since this is the only place that reads each of them once. Strikes and
suppression requests are refused by the worker: here they are left out and counted.
"""

from typing import Final

import msgspec

from models.accounts import AccountSettings, parse_account
from models.refusal import Reason, Refusal
from models.retries import RetryRequest
from models.strikes import parse_strike
from models.suppression import decode as decode_suppression
from models.suppression_requests import parse_request
from sinks.dead_letters import Record
from sinks.mapped_batch import REFUSED, TOMBSTONE, MappedBatch, first_wins, published_at
from sinks.tables import (
    ACCOUNTS,
    RETRIES,
    STRIKES,
    SUPPRESSION_REQUESTS,
    SUPPRESSION_VERSIONS,
    SUPPRESSIONS,
    Row,
)

#: `strikes` tells of deliveries too, for accounts whose count they reset: they are no strikes.
DELIVERED: Final = "delivered"

_decode_retry: Final = msgspec.json.Decoder(RetryRequest).decode


def put_account(record: Record, mapped: MappedBatch, limit: int) -> None:
    """Settings of an account; without a value they are withdrawn, as the workers understand it."""
    if record.key is None:
        said = "key: none; expected the account, or no worker reads the record"
        mapped.refused.append((record, Refusal(Reason.MISROUTED, said)))
        return
    if record.value is None:
        gone = AccountSettings.model_construct(account=record.key.decode(errors="replace"))
        mapped.rows_for(ACCOUNTS).add((*_account(gone, record), 1), record)
        mapped.accept("accounts", "account")
        return
    settings = parse_account(record.value, limit)
    if isinstance(settings, Refusal):
        mapped.refused.append((record, settings))
    else:
        mapped.rows_for(ACCOUNTS).add((*_account(settings, record), 0), record)
        mapped.accept("accounts", "account")


def _account(settings: AccountSettings, record: Record) -> Row:
    return (
        settings.account,
        settings.suppress_hard_bounces,
        settings.strike_limit,
        settings.strikes_reset_on_delivery,
        settings.suppression_days or 0,
        settings.retry_soft_bounces,
        settings.retry_every_s,
        settings.retry_for_s,
        settings.validity_s,
        settings.time_zone,
        settings.text_days or 0,
        settings.recipient_days or 0,
        dict(settings.fail_reasons),
        settings.updated_at or 0,
        published_at(record),
        record.offset,
    )


def put_strike(record: Record, mapped: MappedBatch, _: int) -> None:
    """A strike or its withdrawal: the message's highest version stands."""
    strike = parse_strike(record.value)
    if isinstance(strike, Refusal):
        mapped.skip("strikes", REFUSED)
    elif strike.kind == DELIVERED:
        mapped.skip("strikes", DELIVERED)
    else:
        row = (
            strike.account,
            strike.recipient,
            strike.sent_at,
            strike.message_id,
            strike.kind == "struck",
            strike.occurred_at,
            strike.code,
            strike.version,
        )
        mapped.rows_for(STRIKES).add(row, record)


def put_suppression(record: Record, mapped: MappedBatch, _: int) -> None:
    """How a number stands now, and the same among its history."""
    if record.value is None:
        mapped.skip("suppressions", TOMBSTONE)
        return
    known = decode_suppression(record.value)
    row = (
        known.account,
        known.recipient,
        known.suppressed,
        known.reasons,
        known.since,
        known.until,
        known.strikes,
        published_at(record),
        known.version,
    )
    mapped.rows_for(SUPPRESSIONS).add(row, record)
    mapped.rows_for(SUPPRESSION_VERSIONS).add(row, record)


def put_suppression_request(record: Record, mapped: MappedBatch, limit: int) -> None:
    """What somebody decided about a number."""
    request = parse_request(record.value, record.timestamp, limit)
    if isinstance(request, Refusal):
        mapped.skip("suppression-requests", REFUSED)
        return
    row = (
        request.account,
        request.recipient,
        request.at,
        request.action,
        request.who,
        request.why,
    )
    mapped.rows_for(SUPPRESSION_REQUESTS).add(row, record)


def put_retry_request(record: Record, mapped: MappedBatch, _: int) -> None:
    """An attempt that a sender was asked to make; of several publications the first stands."""
    if record.value is None:
        raise ValueError("the record has no value")
    asked = _decode_retry(record.value)
    at = published_at(record)
    content = (asked.first_sent_at, asked.due_at, asked.recipient, asked.channel)
    version = first_wins(at, *content)
    row = (asked.account, asked.message_id, asked.attempt, *content, at, version)
    mapped.rows_for(RETRIES).add(row, record)
