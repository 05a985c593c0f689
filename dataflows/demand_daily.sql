-- How much of each product is wanted where, on which day?
--
-- One row per source, product, location, channel, currency and day (UTC) on which something was
-- sold or came back. Demand is `units_sold`; units that come back count on the day they come back
-- and never lower the demand of the day they were sold. Money is apart by currency.
-- Products only: shipping, fees and adjustments are left out. Online sales may have no location.
CREATE MATERIALIZED VIEW demand_daily AS
SELECT
    source,
    product_id,
    location_id,
    channel,
    currency,
    CAST(sold_at AS DATE) AS day,
    count(*) FILTER (WHERE NOT is_return) AS lines_sold,
    coalesce(sum(quantity) FILTER (WHERE NOT is_return), 0) AS units_sold,
    coalesce(-sum(quantity) FILTER (WHERE is_return), 0) AS units_returned,
    coalesce(sum(amount_minor) FILTER (WHERE NOT is_return), 0) AS gross_minor,
    sum(amount_minor) AS net_minor
FROM sale_lines
WHERE line_type = 'product' AND product_id IS NOT NULL
GROUP BY source, product_id, location_id, channel, currency, CAST(sold_at AS DATE);
