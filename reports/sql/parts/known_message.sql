SELECT 1 FROM messages FINAL WHERE account = {account:String} AND message_id = {message_id:String}
UNION ALL
SELECT 1 FROM orphans FINAL WHERE account = {account:String} AND message_id = {message_id:String}
UNION ALL
SELECT 1 FROM receipt_events WHERE account = {account:String} AND message_id = {message_id:String}
UNION ALL
SELECT 1 FROM engagements WHERE account = {account:String} AND message_id = {message_id:String}
