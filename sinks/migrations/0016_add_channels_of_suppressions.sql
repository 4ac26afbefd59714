-- Suppressions have a channel. Rows from before have none and concern all channels. The channel is in
-- the sort key of what is kept for each channel; a new column may be added to it without rewriting rows.
ALTER TABLE suppression_records
    ADD COLUMN IF NOT EXISTS channel LowCardinality(String) COMMENT 'channel it is about; empty: all, as written before channels were known',
    ADD COLUMN IF NOT EXISTS binds LowCardinality(String) COMMENT 'messages not to send: all, or marketing (all but verification messages); empty: not suppressed',
    MODIFY ORDER BY (account, recipient, channel),
    MODIFY COLUMN recipient COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp';

ALTER TABLE suppression_versions
    ADD COLUMN IF NOT EXISTS channel LowCardinality(String) COMMENT 'channel it is about; empty: all, as written before channels were known',
    ADD COLUMN IF NOT EXISTS binds LowCardinality(String) COMMENT 'messages not to send: all, or marketing (all but verification messages); empty: not suppressed',
    MODIFY ORDER BY (account, recipient, version, channel);

ALTER TABLE suppression_requests
    ADD COLUMN IF NOT EXISTS channel LowCardinality(String) COMMENT 'channel it binds; empty: all',
    MODIFY ORDER BY (account, recipient, at, action, who, why, channel),
    MODIFY COLUMN recipient COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp';

ALTER TABLE strikes
    ADD COLUMN IF NOT EXISTS channel LowCardinality(String) COMMENT 'channel it counts on; empty: all, as written before channels were known',
    MODIFY COLUMN recipient COMMENT 'number that is struck, E.164, in its canonical spelling, or a user id of WhatsApp';
