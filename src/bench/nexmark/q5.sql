-- Hot items: the auctions with the most bids in windows of ten seconds, every two seconds.
CREATE MATERIALIZED VIEW q5 AS
WITH hops AS (
    SELECT auction, date_bin(INTERVAL '2 seconds', date_time) - hop.back AS window_start
    FROM bid
    CROSS JOIN (
        VALUES (INTERVAL '0 seconds'), (INTERVAL '2 seconds'), (INTERVAL '4 seconds'),
               (INTERVAL '6 seconds'), (INTERVAL '8 seconds')
    ) AS hop(back)
),
counts AS (
    SELECT window_start, auction, count(*) AS bids FROM hops GROUP BY window_start, auction
)
SELECT c.window_start, c.auction, c.bids
FROM counts AS c
JOIN (
    SELECT window_start, max(bids) AS most FROM counts GROUP BY window_start
) AS m ON c.window_start = m.window_start AND c.bids = m.most
