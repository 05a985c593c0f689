-- Which share of what was sold comes back, by product and channel?
--
-- One row per source, product and channel with any sale or return. Units and orders, no money, so
-- currencies don't matter. A return counts for the channel of its order, whenever it comes.
-- return_rate: units returned / units sold, four places. NULL where nothing was sold, above 1
-- where goods come back that were sold before the history begins.
-- orders_with_returns: orders, credit notes among them, in which units came back.
CREATE MATERIALIZED VIEW returns_rate AS
WITH units AS (
    SELECT
        source,
        product_id,
        channel,
        count(DISTINCT order_id) FILTER (WHERE NOT is_return) AS orders,
        count(DISTINCT order_id) FILTER (WHERE is_return) AS orders_with_returns,
        coalesce(sum(quantity) FILTER (WHERE NOT is_return), 0) AS units_sold,
        coalesce(-sum(quantity) FILTER (WHERE is_return), 0) AS units_returned
    FROM sale_lines
    WHERE line_type = 'product' AND product_id IS NOT NULL
    GROUP BY source, product_id, channel
)
SELECT
    source,
    product_id,
    channel,
    orders,
    orders_with_returns,
    units_sold,
    units_returned,
    CASE
        WHEN units_sold > 0 THEN
            CAST(round(CAST(units_returned AS DECIMAL(24, 10)) / CAST(units_sold AS DECIMAL(18, 4)), 4)
                AS DECIMAL(18, 4))
    END AS return_rate
FROM units;
