CREATE OR REPLACE VIEW strikes_current
(
    account     LowCardinality(String) COMMENT 'tenant the message belongs to',
    recipient   String COMMENT 'number that is struck, E.164, in its canonical spelling, or a user id of WhatsApp',
    sent_at     DateTime64(3, 'UTC') COMMENT 'when attempt 1 of the message was sent, UTC',
    message_id  String COMMENT 'the message',
    struck      Bool COMMENT 'false: the strike was withdrawn',
    occurred_at DateTime64(3, 'UTC') COMMENT 'time of the receipt that struck, UTC',
    code        LowCardinality(String) COMMENT 'code the provider gave; empty: none',
    version     UInt64 COMMENT 'version of the message; the highest wins',
    channel     LowCardinality(String) COMMENT 'channel it counts on; empty: all, as written before channels were known'
)
AS SELECT
    account,
    recipient,
    sent_at,
    message_id,
    struck,
    occurred_at,
    code,
    version,
    channel
FROM strikes FINAL
COMMENT 'Messages that ended as hard and the recipient\'s own fault, one row each; withdrawn ones stay, with struck = false. Whether one counts depends on releases too: see suppressions.';
