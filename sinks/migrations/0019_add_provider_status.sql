-- Receipts from before have none.
ALTER TABLE receipt_events
    ADD COLUMN IF NOT EXISTS provider_status LowCardinality(String) COMMENT 'status in the provider\'s own word; empty: not given';
