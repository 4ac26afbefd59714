/*include message_columns*/,
    /*include flag_columns*/,
    is_clicked UInt8 COMMENT '1: a link of it was clicked',
    is_unsubscribed UInt8 COMMENT '1: its recipient unsubscribed through it',
    seconds_to_deliver Nullable(Float64) COMMENT 'seconds from sending to delivery; NULL: not delivered, or before it was sent: a clock is wrong'
