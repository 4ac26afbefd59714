-- What a failure was, in the provider's words (error_text) and in words for people (fail_reason,
-- which held the provider's words so far), and what follows from it.
-- The defaults speak for rows written before: their fail_reason was what error_text is now, and an
-- attempt that failed was always the highest one known.
ALTER TABLE messages ADD COLUMN IF NOT EXISTS error_text LowCardinality(String) DEFAULT if(scope = 'time' AND fail_reason = 'expired', '', fail_reason) COMMENT 'words the provider gave for a failure; empty: none' AFTER error_code;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS failed_attempt UInt16 DEFAULT if(status IN ('undelivered', 'rejected', 'deleted'), attempts, 0) COMMENT 'attempt whose failure decides; 0: not failed' AFTER fail_reason;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS no_retry_reason LowCardinality(String) COMMENT 'why no further attempt was asked for: off, too_late, too_many (attempts), expired, suppressed or final; empty: one was or will be, or none is needed' AFTER failed_attempt;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS next_attempt_at DateTime64(3, 'UTC') COMMENT 'when the next attempt is or was due, UTC; 1970: none' AFTER no_retry_reason;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS sent_to_suppressed Bool COMMENT 'whether it was sent although its number was suppressed before' AFTER unsubscribed_at;
ALTER TABLE messages COMMENT COLUMN IF EXISTS fail_reason 'why it failed, in words for people, or expired; empty: not failed';

ALTER TABLE orphans ADD COLUMN IF NOT EXISTS error_text LowCardinality(String) DEFAULT fail_reason COMMENT 'words the provider gave for a failure; empty: none' AFTER error_code;
ALTER TABLE orphans COMMENT COLUMN IF EXISTS fail_reason 'why it failed, in words for people; empty: unknown or not failed';
