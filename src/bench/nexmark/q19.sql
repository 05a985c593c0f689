-- Top ten of each auction: its highest bids.
CREATE MATERIALIZED VIEW q19 AS
SELECT auction, bidder, price, date_time, place
FROM (
    SELECT auction, bidder, price, date_time, row_number() OVER (
        PARTITION BY auction ORDER BY price DESC, date_time, bidder, extra
    ) AS place
    FROM bid
) AS bids
WHERE place <= 10
