-- New columns stand at the end, so that those that were there keep their places.
CREATE OR REPLACE VIEW messages_current
(
    account            LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id         String COMMENT 'id given by the sending service, unique in its account',
    channel            LowCardinality(String) COMMENT 'sms or whatsapp',
    direction          LowCardinality(String) COMMENT 'outbound, or inbound for a received message',
    source             LowCardinality(String) COMMENT 'what sent it: direct, verification, open_api_direct, open_api_verification, campaign or program',
    sender_id          LowCardinality(String) COMMENT 'number or name the recipient sees as sender; empty: unknown',
    sent_by            LowCardinality(String) COMMENT 'person or service that sent it; empty: unknown',
    campaign_id        LowCardinality(String) COMMENT 'campaign it belongs to; empty: none',
    message_type       LowCardinality(String) COMMENT 'campaign, notification or another word of the sender; empty: unknown',
    recipient          String COMMENT 'number of the other side, E.164',
    country            LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2 of the recipient; empty: unknown',
    external_id        String COMMENT 'id of the message or contact in a system of the sender; empty: none',
    email              String COMMENT 'e-mail address of the recipient, if the sender knows it; empty: none',
    platform           LowCardinality(String) COMMENT 'platform the message was sent from; empty: unknown',
    provider           LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown',
    segments           UInt32 COMMENT 'message parts charged, summed over attempts',
    credits            Decimal(18, 6) COMMENT 'price in credits, summed over attempts',
    attempts           UInt16 COMMENT 'highest attempt known; 1: never retried',
    sent_at            DateTime64(3, 'UTC') COMMENT 'when attempt 1 was sent, UTC',
    status             LowCardinality(String) COMMENT 'submitted, queued, delivered, read, undelivered, rejected, deleted, or received when inbound',
    platform_status    LowCardinality(String) COMMENT 'what the platform did: submitted or rejected; empty when inbound',
    carrier_status     LowCardinality(String) COMMENT 'what the network did: queued, delivered or undelivered; empty when rejected or inbound',
    bounce             LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    scope              LowCardinality(String) COMMENT 'whose fault a failure is: recipient, content, sender, account, route, network, policy or time; empty: unknown or no failure',
    error_code         LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    fail_reason        LowCardinality(String) COMMENT 'why it failed, in words for people, or expired; empty: not failed',
    queued_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen queued, UTC; NULL: not yet',
    delivered_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen delivered or read, UTC; NULL: not yet',
    read_at            Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen read, UTC; NULL: not yet',
    finalized_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'when the outcome was known (delivered, failed or expired), UTC; NULL: pending',
    clicked_at         Nullable(DateTime64(3, 'UTC')) COMMENT 'first click on a link of the message, UTC; NULL: none',
    unsubscribed_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'first unsubscribe through the message, UTC; NULL: none',
    version            UInt64 COMMENT 'orders the writes of one message; the highest stands',
    error_text         LowCardinality(String) COMMENT 'words the provider gave for a failure; empty: none',
    failed_attempt     Nullable(UInt16) COMMENT 'attempt whose failure decides; NULL: not failed',
    no_retry_reason    LowCardinality(String) COMMENT 'why no further attempt was asked for: off, too_late, too_many (attempts), expired, suppressed or final; empty: one was or will be, or none is needed',
    next_attempt_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'when the next attempt is or was due, UTC; NULL: none',
    sent_to_suppressed Bool COMMENT 'whether it was sent although its number was suppressed before'
)
AS SELECT
    account,
    message_id,
    channel,
    direction,
    source,
    sender_id,
    sent_by,
    campaign_id,
    message_type,
    recipient,
    country,
    external_id,
    email,
    platform,
    provider,
    segments,
    credits,
    attempts,
    sent_at,
    status,
    platform_status,
    carrier_status,
    bounce,
    scope,
    error_code,
    fail_reason,
    nullIf(queued_at, toDateTime64(0, 3, 'UTC')) AS queued_at,
    nullIf(delivered_at, toDateTime64(0, 3, 'UTC')) AS delivered_at,
    nullIf(read_at, toDateTime64(0, 3, 'UTC')) AS read_at,
    nullIf(finalized_at, toDateTime64(0, 3, 'UTC')) AS finalized_at,
    nullIf(clicked_at, toDateTime64(0, 3, 'UTC')) AS clicked_at,
    nullIf(unsubscribed_at, toDateTime64(0, 3, 'UTC')) AS unsubscribed_at,
    version,
    error_text,
    nullIf(failed_attempt, 0) AS failed_attempt,
    no_retry_reason,
    nullIf(next_attempt_at, toDateTime64(0, 3, 'UTC')) AS next_attempt_at,
    sent_to_suppressed
FROM messages FINAL
COMMENT 'One row a message, as it stands now. Start here.';

CREATE OR REPLACE VIEW orphans_current
(
    account             LowCardinality(String) COMMENT 'tenant the receipts name',
    message_id          String COMMENT 'message the receipts name; no send of it is known',
    status              LowCardinality(String) COMMENT 'what the receipts say: queued, delivered, read, undelivered, rejected, deleted or submitted',
    bounce              LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    scope               LowCardinality(String) COMMENT 'whose fault a failure is; empty: unknown or no failure',
    error_code          LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    fail_reason         LowCardinality(String) COMMENT 'why it failed, in words for people; empty: unknown or not failed',
    provider            LowCardinality(String) COMMENT 'provider of the receipt that decides; empty: unknown',
    provider_message_id String COMMENT 'id the provider gave the message; empty: unknown',
    recipient           String COMMENT 'number the receipts name, E.164; empty: unknown',
    occurred_at         Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the receipt that decides, UTC; NULL: none',
    queued_at           Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen queued, UTC; NULL: not yet',
    delivered_at        Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen delivered or read, UTC; NULL: not yet',
    read_at             Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen read, UTC; NULL: not yet',
    version             UInt64 COMMENT 'orders the writes of one message; the highest stands',
    error_text          LowCardinality(String) COMMENT 'words the provider gave for a failure; empty: none'
)
AS SELECT
    account,
    message_id,
    status,
    bounce,
    scope,
    error_code,
    fail_reason,
    provider,
    provider_message_id,
    recipient,
    nullIf(occurred_at, toDateTime64(0, 3, 'UTC')) AS occurred_at,
    nullIf(queued_at, toDateTime64(0, 3, 'UTC')) AS queued_at,
    nullIf(delivered_at, toDateTime64(0, 3, 'UTC')) AS delivered_at,
    nullIf(read_at, toDateTime64(0, 3, 'UTC')) AS read_at,
    version,
    error_text
FROM orphans FINAL
COMMENT 'Messages known by receipts only: their send has not come (yet), or came before the states were dropped.';

CREATE OR REPLACE VIEW accounts_current
(
    account                   LowCardinality(String) COMMENT 'the tenant',
    suppress_hard_bounces     Bool COMMENT 'whether strikes suppress a number',
    strike_limit              UInt8 COMMENT 'strikes that suppress a number',
    strikes_reset_on_delivery Bool COMMENT 'whether a delivery to a number starts its count anew',
    suppression_days          Nullable(UInt16) COMMENT 'days a suppression by strikes lasts; NULL: until released',
    retry_soft_bounces        Bool COMMENT 'whether soft bounces are tried again',
    retry_every_s             UInt32 COMMENT 'seconds between attempts',
    retry_for_s               UInt32 COMMENT 'seconds from the first send; no attempt is due later',
    validity_s                UInt32 COMMENT 'seconds until a pending message expires, when its send does not say',
    time_zone                 LowCardinality(String) COMMENT 'IANA time zone of its reports',
    text_days                 Nullable(UInt16) COMMENT 'days its message texts are kept; NULL: as the installation says',
    recipient_days            Nullable(UInt16) COMMENT 'days its recipients are kept; NULL: as the installation says',
    fail_reasons              Map(String, String) COMMENT 'its own words for failures, by provider:code or code',
    updated_at                Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was changed, as its publisher says, UTC; NULL: not said',
    published_at              Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    version                   UInt64 COMMENT 'offset of the record; the highest stands'
)
AS SELECT
    account,
    suppress_hard_bounces,
    strike_limit,
    strikes_reset_on_delivery,
    nullIf(suppression_days, 0) AS suppression_days,
    retry_soft_bounces,
    retry_every_s,
    retry_for_s,
    validity_s,
    time_zone,
    nullIf(text_days, 0) AS text_days,
    nullIf(recipient_days, 0) AS recipient_days,
    fail_reasons,
    nullIf(updated_at, toDateTime64(0, 3, 'UTC')) AS updated_at,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version
FROM accounts FINAL
COMMENT 'Settings of the accounts that published any; the others have the defaults.';

CREATE OR REPLACE VIEW strikes_current
(
    account     LowCardinality(String) COMMENT 'tenant the message belongs to',
    recipient   String COMMENT 'number that is struck, E.164',
    sent_at     DateTime64(3, 'UTC') COMMENT 'when attempt 1 of the message was sent, UTC',
    message_id  String COMMENT 'the message',
    struck      Bool COMMENT 'false: the strike was withdrawn',
    occurred_at DateTime64(3, 'UTC') COMMENT 'time of the receipt that struck, UTC',
    code        LowCardinality(String) COMMENT 'code the provider gave; empty: none',
    version     UInt64 COMMENT 'version of the message; the highest stands'
)
AS SELECT
    account,
    recipient,
    sent_at,
    message_id,
    struck,
    occurred_at,
    code,
    version
FROM strikes FINAL
COMMENT 'Messages that ended as hard and the recipient\'s own fault, one row each; withdrawn ones stay, with struck = false. Whether one counts depends on releases too: see suppressions.';

CREATE OR REPLACE VIEW suppressions
(
    account      LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient    String COMMENT 'the number, E.164',
    suppressed   Bool COMMENT 'whether it must not be sent to',
    reasons      Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    since        Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed since, UTC; NULL: not suppressed',
    until        Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed until, UTC; NULL: until released, or not suppressed',
    strikes      UInt16 COMMENT 'strikes that count now',
    published_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    version      UInt64 COMMENT 'orders the writes of one number; the highest stands'
)
AS SELECT
    account,
    recipient,
    suppressed,
    reasons,
    nullIf(since, toDateTime64(0, 3, 'UTC')) AS since,
    nullIf(until, toDateTime64(0, 3, 'UTC')) AS until,
    strikes,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version
FROM suppression_records FINAL
COMMENT 'Numbers that are or were suppressed or struck, one row each, as they stand now.';

CREATE OR REPLACE VIEW suppression_history
(
    account      LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient    String COMMENT 'the number, E.164',
    suppressed   Bool COMMENT 'whether it must not be sent to',
    reasons      Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    since        Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed since, UTC; NULL: not suppressed',
    until        Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed until, UTC; NULL: until released, or not suppressed',
    strikes      UInt16 COMMENT 'strikes that counted then',
    published_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    version      UInt64 COMMENT 'orders the writes of one number'
)
AS SELECT
    account,
    recipient,
    suppressed,
    reasons,
    nullIf(since, toDateTime64(0, 3, 'UTC')) AS since,
    nullIf(until, toDateTime64(0, 3, 'UTC')) AS until,
    strikes,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version
FROM suppression_versions FINAL
COMMENT 'Every change of a suppression that was published, one row each. Changes made while no sink ran may be missing: the topic is compacted.';

CREATE OR REPLACE VIEW suppression_requests_current
(
    account   LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient String COMMENT 'the number, E.164',
    at        DateTime64(3, 'UTC') COMMENT 'when it was decided, UTC',
    action    LowCardinality(String) COMMENT 'suppress, release, resubscribe or unsubscribe',
    who       LowCardinality(String) COMMENT 'who decided; empty: not said',
    why       String COMMENT 'why; of an unsubscribe through a message its message_id; empty: not said'
)
AS SELECT
    account,
    recipient,
    at,
    action,
    who,
    why
FROM suppression_requests FINAL
COMMENT 'What people and recipients decided about numbers, one row a request.';

CREATE OR REPLACE VIEW retry_requests_current
(
    id            String COMMENT 'id of the request: account, message_id and attempt',
    account       LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id    String COMMENT 'message to send again',
    attempt       UInt16 COMMENT 'attempt to make',
    first_sent_at DateTime64(3, 'UTC') COMMENT 'when attempt 1 was sent, UTC',
    due_at        DateTime64(3, 'UTC') COMMENT 'when the attempt was due, UTC',
    recipient     String COMMENT 'number to send to, E.164',
    channel       LowCardinality(String) COMMENT 'sms or whatsapp',
    published_at  Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    version       UInt64 COMMENT 'the highest stands: the request published first'
)
AS SELECT
    concat(account, '/', message_id, '/', toString(attempt)) AS id,
    account,
    message_id,
    attempt,
    first_sent_at,
    due_at,
    recipient,
    channel,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version
FROM retry_requests FINAL
COMMENT 'Attempts the senders were asked to make, one row each.';
