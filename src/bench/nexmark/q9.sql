-- Winning bids: the highest bid of each auction while it was open, the earliest of equal ones.
CREATE MATERIALIZED VIEW q9 AS
SELECT id, item_name, seller, category, expires, bidder, price, bid_date_time
FROM (
    SELECT a.id, a.item_name, a.seller, a.category, a.expires, b.bidder, b.price,
           b.date_time AS bid_date_time,
           row_number() OVER (
               PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.bidder
           ) AS place
    FROM auction AS a
    JOIN bid AS b ON a.id = b.auction
    WHERE b.date_time BETWEEN a.date_time AND a.expires
) AS bids
WHERE place = 1
