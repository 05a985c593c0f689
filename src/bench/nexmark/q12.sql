-- Windows of ten seconds, here by the events' own time: what a view says depends on its rows only.
CREATE MATERIALIZED VIEW q12 AS
SELECT bidder, date_bin(INTERVAL '10 seconds', date_time) AS window_start, count(*) AS bids
FROM bid
GROUP BY bidder, date_bin(INTERVAL '10 seconds', date_time)
