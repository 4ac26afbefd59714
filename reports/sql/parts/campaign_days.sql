SELECT toDate(window_start) AS day
        FROM status_counters
        WHERE kind = 'campaign'
            AND account = {account:String}
            AND has({campaigns:Array(String)}, campaign_id)
