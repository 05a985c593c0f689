-- Which products come back too often? Products by their share of units returned, worst first.
--
-- Products that sold little are left out: one return of two says nothing.
--
-- param: min_units bigint = 100  Fewest units sold that make a share meaningful
-- param: limit bigint = 20  How many products to list
SELECT
    r.source,
    r.product_id,
    p.title,
    r.channel,
    r.units_sold,
    r.units_returned,
    r.return_rate,
    r.orders_with_returns
FROM returns_rate r
LEFT JOIN products p ON p.source = r.source AND p.product_id = r.product_id
WHERE r.units_sold >= $min_units AND r.units_returned > 0
ORDER BY r.return_rate DESC, r.source, r.product_id, r.channel
LIMIT $limit;
