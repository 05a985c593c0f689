-- Which good customers have stopped buying? Customers with several orders whose last one is long
-- ago, the most valuable first: a list for a letter.
--
-- Long ago is counted back from the newest order of any customer.
--
-- param: days bigint = 90  Days without an order
-- param: min_orders bigint = 3  Fewest orders that make a customer worth the letter
-- param: limit bigint = 20  How many customers to list
WITH newest AS (
    SELECT CAST(CAST(max(last_order_at) AS DATE) AS INT) AS day FROM customer_360
)
SELECT
    c.source,
    c.customer_id,
    c.first_name,
    c.last_name,
    c.email,
    c.orders,
    c.currency,
    c.net_minor,
    c.last_order_at,
    n.day - CAST(CAST(c.last_order_at AS DATE) AS INT) AS days_since
FROM customer_360 c
CROSS JOIN newest n
WHERE c.customer_id IS NOT NULL
    AND c.orders >= $min_orders
    AND n.day - CAST(CAST(c.last_order_at AS DATE) AS INT) >= $days
ORDER BY c.net_minor DESC, c.source, c.customer_id, c.currency
LIMIT $limit;
