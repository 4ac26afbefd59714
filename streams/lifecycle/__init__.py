"""The lifecycle agent: sends, receipts and engagements joined into message states."""
