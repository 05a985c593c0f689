-- Who are the best customers? Customers by what they bought less what they brought back, best
-- first; currencies are ranked apart. Guests are not listed.
--
-- param: limit bigint = 10  How many customers to list for each currency
SELECT
    currency,
    position,
    source,
    customer_id,
    first_name,
    last_name,
    orders,
    net_minor,
    last_order_at
FROM (
    SELECT
        c.*,
        ROW_NUMBER() OVER (
            PARTITION BY currency
            ORDER BY net_minor DESC, source, customer_id
        ) AS position
    FROM customer_360 c
    WHERE customer_id IS NOT NULL AND currency IS NOT NULL
) ranked
WHERE position <= $limit
ORDER BY currency, position;
