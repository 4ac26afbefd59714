-- Reports read a campaign by the days of its sending; the index leaves out the hours it was not sent in.
-- Parts written before get it when they are merged.
ALTER TABLE messages ADD INDEX IF NOT EXISTS by_campaign campaign_id TYPE bloom_filter(0.001) GRANULARITY 1;
