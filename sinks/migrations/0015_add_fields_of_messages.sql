-- Rows from before have no person of their own: it is their recipient. It is stored for them in
-- the background (a mutation of this column alone), since an index needs the values.
ALTER TABLE messages
    ADD COLUMN IF NOT EXISTS person String DEFAULT recipient COMMENT 'the recipient in the canonical spelling of its number; compare people by it',
    ADD COLUMN IF NOT EXISTS provider_message_id String COMMENT 'id the provider gave the latest attempt, by its send or by the receipt that decides; empty: unknown',
    ADD COLUMN IF NOT EXISTS template LowCardinality(String) COMMENT 'template it was made from; empty: unknown',
    ADD COLUMN IF NOT EXISTS category LowCardinality(String) COMMENT 'marketing, utility or another word of the sender; empty: unknown',
    ADD COLUMN IF NOT EXISTS reference String COMMENT 'reference of the sender; empty: none',
    ADD COLUMN IF NOT EXISTS mccmnc LowCardinality(String) COMMENT 'mobile country and network code, of the latest receipt with one',
    ADD COLUMN IF NOT EXISTS price Decimal(18, 6) COMMENT 'price by the receipts in currency, summed over attempts; 0 without a currency: unknown',
    ADD COLUMN IF NOT EXISTS currency LowCardinality(String) COMMENT 'ISO 4217 of the price; of two, the latest; empty: unknown',
    ADD COLUMN IF NOT EXISTS converted_at DateTime64(3, 'UTC') COMMENT 'when the goal of the message was reached, UTC; 1970: not yet',
    ADD COLUMN IF NOT EXISTS automated_clicked_at DateTime64(3, 'UTC') COMMENT 'first click by a program (link preview, scanner), UTC; 1970: none',
    ADD COLUMN IF NOT EXISTS repaired Array(LowCardinality(String)) COMMENT 'fields of its events that were wrong and were mended or left out',
    ADD INDEX IF NOT EXISTS by_person person TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_provider_message_id provider_message_id TYPE bloom_filter(0.001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_external_id_in_any_case lowerUTF8(external_id) TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_email_in_any_case lowerUTF8(email) TYPE bloom_filter(0.01) GRANULARITY 1,
    MODIFY COLUMN IF EXISTS clicked_at COMMENT 'first click of a person on a link of the message, UTC; 1970: none',
    MODIFY COLUMN IF EXISTS recipient COMMENT 'number of the other side, E.164; a user id of WhatsApp; of an inbound message any sender';

ALTER TABLE messages MATERIALIZE COLUMN person;
ALTER TABLE messages MATERIALIZE INDEX IF EXISTS by_person;

ALTER TABLE engagements
    ADD COLUMN IF NOT EXISTS channel LowCardinality(String) COMMENT 'sms or whatsapp, for an unsubscribe or resubscribe that names one; empty: none',
    ADD COLUMN IF NOT EXISTS user_agent String COMMENT 'program that clicked; empty: unknown',
    ADD COLUMN IF NOT EXISTS automated Bool COMMENT 'whether the publisher knows that a program clicked',
    ADD COLUMN IF NOT EXISTS person String DEFAULT recipient COMMENT 'the recipient in the canonical spelling of its number; empty: unknown',
    ADD INDEX IF NOT EXISTS by_person person TYPE bloom_filter(0.01) GRANULARITY 1,
    MODIFY COLUMN IF EXISTS type COMMENT 'click, unsubscribe, resubscribe or conversion',
    MODIFY COLUMN IF EXISTS recipient COMMENT 'number of the person, E.164, or user id of WhatsApp; empty: unknown';

ALTER TABLE engagements MATERIALIZE COLUMN person;
ALTER TABLE engagements MATERIALIZE INDEX IF EXISTS by_person;

ALTER TABLE engagements MODIFY COMMENT 'What people did (clicks, unsubscribes, new subscriptions, conversions) as written: read engagements_current instead.';

ALTER TABLE accounts
    ADD COLUMN IF NOT EXISTS codes Map(String, String) COMMENT 'its own meanings of codes, by provider:code or code: bounce, scope and reason as JSON',
    ADD COLUMN IF NOT EXISTS unsubscribe_binds LowCardinality(String) DEFAULT 'marketing' COMMENT 'messages an unsubscribe binds: marketing (all but verification messages) or all';

-- What sent a text, so that one-time codes can be left out. Texts from before get it from their messages.
ALTER TABLE message_texts
    ADD COLUMN IF NOT EXISTS source LowCardinality(String) COMMENT 'what sent it; empty: written before it was kept, and by no verification';

ALTER TABLE message_texts
    UPDATE source = 'verification'
    WHERE source = '' AND (account, message_id) IN (
        SELECT account, message_id FROM messages WHERE source IN ('verification', 'open_api_verification')
    )
    SETTINGS mutations_sync = 1, allow_nondeterministic_mutations = 1;
