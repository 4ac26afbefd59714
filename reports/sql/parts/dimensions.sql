if(has({by:Array(String)}, 'country'), country, '') AS country,
    if(has({by:Array(String)}, 'provider'), provider, '') AS provider,
    if(has({by:Array(String)}, 'source'), source, '') AS source,
    if(has({by:Array(String)}, 'time'), /*include slot*/, NULL) AS slot
