CREATE OR REPLACE VIEW messages_current
(
    /*include message_columns*/
)
AS SELECT
    /*include message_values*/
FROM messages FINAL
COMMENT 'One row a message, as it is now. Start here.';
