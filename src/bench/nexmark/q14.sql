-- Calculation: prices, times of the day and counted letters of the bids between two prices.
CREATE MATERIALIZED VIEW q14 AS
SELECT auction, bidder, 0.908 * price AS price,
       CASE WHEN extract(HOUR FROM date_time) BETWEEN 8 AND 18 THEN 'day'
            WHEN extract(HOUR FROM date_time) <= 6 OR extract(HOUR FROM date_time) >= 20
            THEN 'night'
            ELSE 'other' END AS bid_time,
       date_time, length(extra) - length(replace(extra, 'c', '')) AS letters
FROM bid
WHERE 0.908 * price > 1000 AND 0.908 * price < 50000000
