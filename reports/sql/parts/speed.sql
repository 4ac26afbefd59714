count() AS sent,
    sum(is_delivered) AS delivered,
    delivered / nullIf(sent, 0) AS delivery_rate,
    if(count(seconds_to_deliver) = 0, NULL, quantilesExactInclusive(0.5, 0.9, 0.95, 0.99)(seconds_to_deliver)[1]) AS p50,
    if(count(seconds_to_deliver) = 0, NULL, quantilesExactInclusive(0.5, 0.9, 0.95, 0.99)(seconds_to_deliver)[2]) AS p90,
    if(count(seconds_to_deliver) = 0, NULL, quantilesExactInclusive(0.5, 0.9, 0.95, 0.99)(seconds_to_deliver)[3]) AS p95,
    if(count(seconds_to_deliver) = 0, NULL, quantilesExactInclusive(0.5, 0.9, 0.95, 0.99)(seconds_to_deliver)[4]) AS p99,
    countIf(seconds_to_deliver <= 10) / nullIf(count(seconds_to_deliver), 0) AS within_10s
