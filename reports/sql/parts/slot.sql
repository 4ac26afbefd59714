toDateTime(if({by_hour:Bool}, toStartOfHour(sent_at, {zone:String}),
        toStartOfDay(sent_at, {zone:String})), 'UTC')
