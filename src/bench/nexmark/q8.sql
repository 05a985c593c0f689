-- Monitor new users: persons who open auctions in the window of ten seconds in which they came.
CREATE MATERIALIZED VIEW q8 AS
SELECT p.id, p.name, p.window_start
FROM (
    SELECT id, name, date_bin(INTERVAL '10 seconds', date_time) AS window_start FROM person
) AS p
JOIN (
    SELECT DISTINCT seller, date_bin(INTERVAL '10 seconds', date_time) AS window_start FROM auction
) AS a ON p.id = a.seller AND p.window_start = a.window_start
