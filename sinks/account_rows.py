"""Rows of accounts, strikes, suppressions and requests.

Bad account settings become dead letters here, the only place that reads each record once. The
worker produces those of strikes and suppression requests: here they are skipped and counted.
"""

from typing import Final

import msgspec

from models.accounts import AccountSettings, parse_account
from models.numbers import person_of
from models.refusal import Reason, Refusal
from models.retries import RetryRequest
from models.strikes import parse_strike
from models.suppression import channels_of
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

#: `strikes` has deliveries too, for accounts whose count they reset: these are not strikes.
DELIVERED: Final = "delivered"

_decode_retry: Final = msgspec.json.Decoder(RetryRequest).decode


def put_account(record: Record, mapped: MappedBatch, limit: int) -> None:
    """Settings of an account; a record without a value withdraws them, as in the workers."""
    if record.key is None:
        detail = "key: none; expected the account, or no worker reads the record"
        mapped.refused.append((record, Refusal(Reason.MISROUTED, detail)))
        return
    if record.value is None:
        gone = AccountSettings.model_construct(account=record.key.decode(errors="replace"))
        mapped.rows_for(ACCOUNTS).add(_account(gone, record, is_deleted=1), record)
        mapped.accept("accounts", "account")
        return
    settings = parse_account(record.value, limit)
    if isinstance(settings, Refusal):
        mapped.refused.append((record, settings))
    else:
        mapped.rows_for(ACCOUNTS).add(_account(settings, record, is_deleted=0), record)
        mapped.accept("accounts", "account")


def _account(settings: AccountSettings, record: Record, is_deleted: int) -> Row:
    codes = settings.codes
    return ACCOUNTS.row(
        account=settings.account,
        suppress_hard_bounces=settings.suppress_hard_bounces,
        strike_limit=settings.strike_limit,
        strikes_reset_on_delivery=settings.strikes_reset_on_delivery,
        suppression_days=settings.suppression_days or 0,
        retry_soft_bounces=settings.retry_soft_bounces,
        retry_every_s=settings.retry_every_s,
        retry_for_s=settings.retry_for_s,
        validity_s=settings.validity_s,
        time_zone=settings.time_zone,
        text_days=settings.text_days or 0,
        recipient_days=settings.recipient_days or 0,
        fail_reasons=dict(settings.fail_reasons),
        updated_at=settings.updated_at or 0,
        published_at=published_at(record),
        version=record.offset,
        is_deleted=is_deleted,
        codes={code: meaning.model_dump_json(exclude_none=True) for code, meaning in codes.items()},
        unsubscribe_binds=settings.unsubscribe_binds,
    )


def put_strike(record: Record, mapped: MappedBatch, _: int) -> None:
    """A strike or its withdrawal: the highest version of the message wins."""
    strike = parse_strike(record.value)
    if isinstance(strike, Refusal):
        mapped.skip("strikes", REFUSED)
    elif strike.kind == DELIVERED:
        mapped.skip("strikes", DELIVERED)
    else:
        row = STRIKES.row(
            account=strike.account,
            recipient=person_of(strike.recipient),
            sent_at=strike.sent_at,
            message_id=strike.message_id,
            struck=strike.kind == "struck",
            occurred_at=strike.occurred_at,
            code=strike.code,
            version=strike.version,
            channel=strike.channel,
        )
        mapped.rows_for(STRIKES).add(row, record)


def put_suppression(record: Record, mapped: MappedBatch, _: int) -> None:
    """The status of a recipient on each channel, and the same rows in the history.

    A record from before channels were known is one row without a channel, as it was then.
    """
    if record.value is None:
        mapped.skip("suppressions", TOMBSTONE)
        return
    known = decode_suppression(record.value)
    channels = known.channels or [msgspec.structs.replace(channels_of(known)[0], channel="")]
    for status in channels:
        row = SUPPRESSIONS.row(
            account=known.account,
            recipient=known.recipient,
            suppressed=status.suppressed,
            reasons=status.reasons,
            since=status.since,
            until=status.until,
            strikes=status.strikes,
            published_at=published_at(record),
            version=known.version,
            channel=status.channel,
            binds=status.binds,
        )
        mapped.rows_for(SUPPRESSIONS).add(row, record)
        mapped.rows_for(SUPPRESSION_VERSIONS).add(row, record)


def put_suppression_request(record: Record, mapped: MappedBatch, limit: int) -> None:
    """A manual decision about a recipient, or an unsubscribe."""
    request = parse_request(record.value, record.timestamp, limit)
    if isinstance(request, Refusal):
        mapped.skip("suppression-requests", REFUSED)
        return
    row = SUPPRESSION_REQUESTS.row(
        account=request.account,
        recipient=person_of(request.recipient),
        at=request.at,
        action=request.action,
        who=request.who,
        why=request.why,
        channel=request.channel or "",
    )
    mapped.rows_for(SUPPRESSION_REQUESTS).add(row, record)


def put_retry_request(record: Record, mapped: MappedBatch, _: int) -> None:
    """A retry requested of a sender; of several publications the first wins."""
    if record.value is None:
        raise ValueError("the record has no value")
    request = _decode_retry(record.value)
    at = published_at(record)
    content = {
        "first_sent_at": request.first_sent_at,
        "due_at": request.due_at,
        "recipient": request.recipient,
        "channel": request.channel,
    }
    row = RETRIES.row(
        account=request.account,
        message_id=request.message_id,
        attempt=request.attempt,
        published_at=at,
        version=first_wins(at, *content.values()),
        **content,
    )
    mapped.rows_for(RETRIES).add(row, record)
