-- Who is this customer and what have they bought, brought back and been worth?
--
-- One row per source, customer and currency; customers who never bought have one row without a
-- currency. All guests of a source together are the row without a customer_id, so that the sum
-- over all rows is the sum over all lines.
-- Returns: `orders`, `items`, `units`, `gross_minor`, the dates and the channels speak of sales
--   alone; `returned_minor` is what went back (positive), `net_minor` is gross less returned.
-- Cancelled and test orders don't count, nor do orders of adjustments alone (write-offs).
--   `items` are product lines, `units` their quantity.
-- favourite_channel: the one with most orders; of equal ones that used last, then by name. Guests
--   have none.
-- average_order_minor: gross per order, rounded half up to a minor unit.
CREATE MATERIALIZED VIEW customer_360 AS
WITH bought AS (
    SELECT
        source,
        customer_id,
        currency,
        count(DISTINCT order_id) FILTER (WHERE NOT is_return AND line_type <> 'adjustment')
            AS orders,
        count(*) FILTER (WHERE NOT is_return AND line_type = 'product') AS items,
        sum(quantity) FILTER (WHERE NOT is_return AND line_type = 'product') AS units,
        sum(quantity) FILTER (WHERE is_return AND line_type = 'product') AS units_back,
        sum(amount_minor) FILTER (WHERE NOT is_return) AS gross_minor,
        sum(amount_minor) FILTER (WHERE is_return) AS back_minor,
        sum(amount_minor) AS net_minor,
        min(sold_at) FILTER (WHERE NOT is_return AND line_type <> 'adjustment')
            AS first_order_at,
        max(sold_at) FILTER (WHERE NOT is_return AND line_type <> 'adjustment')
            AS last_order_at,
        count(DISTINCT product_id) FILTER (WHERE NOT is_return) AS distinct_products,
        count(DISTINCT channel) FILTER (WHERE NOT is_return AND line_type <> 'adjustment')
            AS channels
    FROM sale_lines
    GROUP BY source, customer_id, currency
),
channel_use AS (
    SELECT
        source,
        customer_id,
        currency,
        channel,
        count(DISTINCT order_id) AS orders,
        max(sold_at) AS last_order_at
    FROM sale_lines
    WHERE NOT is_return AND line_type <> 'adjustment' AND customer_id IS NOT NULL
    GROUP BY source, customer_id, currency, channel
),
favourite AS (
    SELECT source, customer_id, currency, channel
    FROM (
        SELECT
            source,
            customer_id,
            currency,
            channel,
            ROW_NUMBER() OVER (
                PARTITION BY source, customer_id, currency
                ORDER BY orders DESC, last_order_at DESC, channel
            ) AS position
        FROM channel_use
    ) ranked
    WHERE position <= 1
),
accounts AS (
    SELECT source, customer_id, first_name, last_name, email, country_code, created_at
    FROM customers
    WHERE is_test IS NOT TRUE
)
SELECT
    coalesce(b.source, a.source) AS source,
    coalesce(b.customer_id, a.customer_id) AS customer_id,
    b.currency,
    a.first_name,
    a.last_name,
    a.email,
    a.country_code,
    a.created_at,
    coalesce(b.orders, 0) AS orders,
    coalesce(b.items, 0) AS items,
    coalesce(b.units, 0) AS units,
    coalesce(-b.units_back, 0) AS units_returned,
    coalesce(b.gross_minor, 0) AS gross_minor,
    coalesce(-b.back_minor, 0) AS returned_minor,
    coalesce(b.net_minor, 0) AS net_minor,
    b.first_order_at,
    b.last_order_at,
    coalesce(b.distinct_products, 0) AS distinct_products,
    coalesce(b.channels, 0) AS channels,
    f.channel AS favourite_channel,
    CASE
        WHEN b.orders > 0 THEN (2 * coalesce(b.gross_minor, 0) + b.orders) / (2 * b.orders)
    END AS average_order_minor
FROM bought b
LEFT JOIN favourite f
    ON f.source = b.source AND f.customer_id = b.customer_id AND f.currency = b.currency
FULL JOIN accounts a ON a.source = b.source AND a.customer_id = b.customer_id;
