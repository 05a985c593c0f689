-- What is this product, how does it sell, who looks at it and how much of it is there?
--
-- One row per source, product and currency; products that never sold have one row without a
-- currency. The figures that know no currency (views, carts, stock) repeat in each of a product's
-- rows.
-- Returns: sold and returned are apart, `net_minor` is the difference. `buyers` counts known
--   customers; guests are in `orders` and `units_sold` alone.
-- Products that are sold but missing from the catalogue appear without a title.
-- available: on hand less reserved over all locations; NULL where no stock was ever reported.
CREATE MATERIALIZED VIEW product_360 AS
WITH sold AS (
    SELECT
        source,
        product_id,
        currency,
        count(DISTINCT order_id) FILTER (WHERE NOT is_return) AS orders,
        count(DISTINCT customer_id) FILTER (WHERE NOT is_return) AS buyers,
        sum(quantity) FILTER (WHERE NOT is_return) AS units_sold,
        sum(quantity) FILTER (WHERE is_return) AS units_back,
        sum(amount_minor) FILTER (WHERE NOT is_return) AS gross_minor,
        sum(amount_minor) FILTER (WHERE is_return) AS back_minor,
        sum(amount_minor) AS net_minor,
        min(sold_at) FILTER (WHERE NOT is_return) AS first_sold_at,
        max(sold_at) FILTER (WHERE NOT is_return) AS last_sold_at
    FROM sale_lines
    WHERE line_type = 'product' AND product_id IS NOT NULL
    GROUP BY source, product_id, currency
),
interest AS (
    SELECT
        source,
        product_id,
        count(*) FILTER (WHERE interaction_type = 'view_item') AS views,
        count(*) FILTER (WHERE interaction_type = 'add_to_cart') AS cart_additions
    FROM interactions
    WHERE product_id IS NOT NULL AND is_test IS NOT TRUE
    GROUP BY source, product_id
),
stock AS (
    SELECT
        source,
        product_id,
        coalesce(sum(quantity) FILTER (WHERE bucket = 'on_hand'), 0)
            - coalesce(sum(quantity) FILTER (WHERE bucket = 'reserved'), 0) AS available
    FROM inventory_levels
    GROUP BY source, product_id
),
known AS (
    SELECT
        coalesce(s.source, p.source) AS source,
        coalesce(s.product_id, p.product_id) AS product_id,
        s.currency,
        p.sku,
        p.title,
        p.variant_title,
        p.brand,
        p.category,
        s.orders,
        s.buyers,
        s.units_sold,
        s.units_back,
        s.gross_minor,
        s.back_minor,
        s.net_minor,
        s.first_sold_at,
        s.last_sold_at
    FROM sold s
    FULL JOIN products p ON p.source = s.source AND p.product_id = s.product_id
)
SELECT
    k.source,
    k.product_id,
    k.currency,
    k.sku,
    k.title,
    k.variant_title,
    k.brand,
    k.category,
    coalesce(k.orders, 0) AS orders,
    coalesce(k.buyers, 0) AS buyers,
    coalesce(k.units_sold, 0) AS units_sold,
    coalesce(-k.units_back, 0) AS units_returned,
    coalesce(k.gross_minor, 0) AS gross_minor,
    coalesce(-k.back_minor, 0) AS returned_minor,
    coalesce(k.net_minor, 0) AS net_minor,
    k.first_sold_at,
    k.last_sold_at,
    coalesce(i.views, 0) AS views,
    coalesce(i.cart_additions, 0) AS cart_additions,
    s.available
FROM known k
LEFT JOIN interest i ON i.source = k.source AND i.product_id = k.product_id
LEFT JOIN stock s ON s.source = k.source AND s.product_id = k.product_id;
