-- What will run out soon? Products whose pooled stock lasts at most some days at the pace of the
-- last weeks, the shortest first.
--
-- days_left: available units / mean units sold per day, over the days looked back on (the newest
-- is the last day of trade). Products without sales in that time are left out.
--
-- param: days_left bigint = 7  List what lasts at most so many days
-- param: days bigint = 28  How many days of sales give the pace
-- param: limit bigint = 20  How many products to list
WITH newest AS (
    SELECT CAST(max(day) AS INT) AS day FROM demand_daily
),
pace AS (
    SELECT d.source, d.product_id, sum(d.units_sold) AS units_sold
    FROM demand_daily d
    CROSS JOIN newest n
    WHERE CAST(d.day AS INT) > n.day - $days
    GROUP BY d.source, d.product_id
    HAVING sum(d.units_sold) > 0
),
cover AS (
    SELECT
        a.source,
        a.product_id,
        a.available,
        a.inbound,
        s.units_sold,
        CAST(a.available AS DOUBLE) * $days / CAST(s.units_sold AS DOUBLE) AS cover_days
    FROM available_to_sell a
    JOIN pace s ON s.source = a.source AND s.product_id = a.product_id
    WHERE a.scope = 'pooled'
)
SELECT
    c.source,
    c.product_id,
    p.title,
    c.available,
    c.inbound,
    c.units_sold,
    round(c.cover_days, 1) AS days_left
FROM cover c
LEFT JOIN products p ON p.source = c.source AND p.product_id = c.product_id
WHERE c.cover_days <= $days_left
ORDER BY c.cover_days, c.source, c.product_id
LIMIT $limit;
