CREATE OR REPLACE VIEW unmatched_receipts
(
    account             LowCardinality(String) COMMENT 'tenant whose endpoint the provider called',
    id                  String COMMENT 'the same for every record about a receipt: a digest of its content',
    received_at         DateTime64(3, 'UTC') COMMENT 'when the provider called, UTC; its time to live counts from here',
    found               Bool COMMENT 'whether its message was found after all',
    message_id          String COMMENT 'its message, found after all; empty: not known',
    at                  DateTime64(3, 'UTC') COMMENT 'when it was reported, or found, UTC',
    endpoint            LowCardinality(String) COMMENT 'endpoint that the provider called',
    provider            LowCardinality(String) COMMENT 'provider whose table of codes explains it',
    provider_message_id String COMMENT 'id the provider gave the message; empty: none',
    reference           String COMMENT 'reference that the provider repeats; empty: none',
    recipient           String COMMENT 'number the receipt names; empty: none',
    status              LowCardinality(String) COMMENT 'status it gives, in our words, or unknown',
    provider_status     LowCardinality(String) COMMENT 'status it gives, in the provider\'s own word; empty: none',
    error_code          LowCardinality(String) COMMENT 'code of the provider; empty: none',
    error_text          String COMMENT 'words of the provider; empty: none',
    occurred_at         Nullable(DateTime64(3, 'UTC')) COMMENT 'when it happened, by the provider, UTC; NULL: not given'
)
AS SELECT
    account,
    id,
    received_at,
    message_id != '' AS found,
    message_id,
    at,
    endpoint,
    provider,
    provider_message_id,
    reference,
    recipient,
    status,
    provider_status,
    error_code,
    error_text,
    nullIf(occurred_at, toDateTime64(0, 3, 'UTC')) AS occurred_at
FROM unmatched_receipt_records FINAL
WHERE reported
COMMENT 'Receipts that were reported without their message, one row each, as long as events_days allow; found: what became of them.';
