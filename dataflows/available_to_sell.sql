-- How many units of a product can still be promised, at each location and online from all together?
--
-- scope `location`: one row per source, product and location. scope `pooled`: one row per source
-- and product over the locations whose stock may be sold online (fulfils_online is not false;
-- locations that are not described count), without a location_id.
-- available: on hand less reserved. It is negative where more was promised than there is; in the
-- pool such a shortage takes stock from the others. Inbound goods are shown and not available,
-- damaged ones are neither.
CREATE MATERIALIZED VIEW available_to_sell AS
WITH stock AS (
    SELECT
        source,
        product_id,
        location_id,
        coalesce(sum(quantity) FILTER (WHERE bucket = 'on_hand'), 0) AS on_hand,
        coalesce(sum(quantity) FILTER (WHERE bucket = 'reserved'), 0) AS reserved,
        coalesce(sum(quantity) FILTER (WHERE bucket = 'inbound'), 0) AS inbound,
        max(occurred_at) AS reported_at
    FROM inventory_levels
    GROUP BY source, product_id, location_id
),
pooled AS (
    SELECT
        s.source,
        s.product_id,
        sum(s.on_hand) AS on_hand,
        sum(s.reserved) AS reserved,
        sum(s.inbound) AS inbound,
        max(s.reported_at) AS reported_at
    FROM stock s
    LEFT JOIN locations l ON l.source = s.source AND l.location_id = s.location_id
    WHERE l.fulfils_online IS NOT FALSE
    GROUP BY s.source, s.product_id
)
SELECT
    source,
    product_id,
    'location' AS scope,
    location_id,
    CAST(on_hand AS DECIMAL(38, 4)) AS on_hand,
    CAST(reserved AS DECIMAL(38, 4)) AS reserved,
    CAST(inbound AS DECIMAL(38, 4)) AS inbound,
    CAST(on_hand - reserved AS DECIMAL(38, 4)) AS available,
    reported_at
FROM stock
UNION ALL
SELECT
    source,
    product_id,
    'pooled' AS scope,
    CAST(NULL AS VARCHAR) AS location_id,
    CAST(on_hand AS DECIMAL(38, 4)) AS on_hand,
    CAST(reserved AS DECIMAL(38, 4)) AS reserved,
    CAST(inbound AS DECIMAL(38, 4)) AS inbound,
    CAST(on_hand - reserved AS DECIMAL(38, 4)) AS available,
    reported_at
FROM pooled;
