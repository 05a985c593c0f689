-- What has sold best lately? Products by units sold in the last days of trade, best first.
--
-- The days end with the newest day on which anything was sold, so the answer makes sense for
-- replayed history too. Units are before returns; net is after.
--
-- param: days bigint = 28  How many days to look back, the newest one included
-- param: limit bigint = 10  How many products to list
WITH newest AS (
    SELECT CAST(max(day) AS INT) AS day FROM demand_daily
)
SELECT
    d.source,
    d.product_id,
    p.title,
    d.currency,
    sum(d.units_sold) AS units_sold,
    sum(d.units_returned) AS units_returned,
    sum(d.net_minor) AS net_minor
FROM demand_daily d
CROSS JOIN newest n
LEFT JOIN products p ON p.source = d.source AND p.product_id = d.product_id
WHERE CAST(d.day AS INT) > n.day - $days
GROUP BY d.source, d.product_id, p.title, d.currency
ORDER BY units_sold DESC, d.source, d.product_id, d.currency
LIMIT $limit;
