-- Highest bid: the bids with the highest price of each window of ten seconds.
CREATE MATERIALIZED VIEW q7 AS
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM bid AS b
JOIN (
    SELECT date_bin(INTERVAL '10 seconds', date_time) AS window_start, max(price) AS highest
    FROM bid
    GROUP BY date_bin(INTERVAL '10 seconds', date_time)
) AS w ON date_bin(INTERVAL '10 seconds', b.date_time) = w.window_start AND b.price = w.highest
