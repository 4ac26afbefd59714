/*include figure_sums*/,
    sum(segments) AS segments,
    sum(credits) AS credits,
    delivered / nullIf(sent, 0) AS delivery_rate
