-- What is in this order, what is it worth, what has been paid and what given back?
--
-- One row per order, cancelled ones and credit notes (negative amounts) included; test orders are
-- left out. Payments and refunds in another currency than the order's are not added up with it.
-- lines_minor: sum of the lines. total_minor: what the order itself says, else its lines with
--   shipping and tip less the discount on the order.
-- paid_minor: captured money. refunded_minor: refunds that did not fail. open_minor: what is still
--   owed, total less paid; 0 once an order is cancelled.
CREATE MATERIALIZED VIEW order_summary AS
WITH line_sums AS (
    SELECT
        source,
        order_id,
        currency,
        count(*) AS lines,
        count(*) FILTER (WHERE line_type = 'product') AS items,
        sum(quantity) FILTER (WHERE line_type = 'product') AS units,
        sum(total_minor) AS lines_minor
    FROM order_lines
    GROUP BY source, order_id, currency
),
payment_sums AS (
    SELECT source, order_id, currency, sum(amount_minor) AS paid_minor
    FROM payments
    WHERE status = 'captured' AND is_test IS NOT TRUE
    GROUP BY source, order_id, currency
),
refund_sums AS (
    SELECT source, order_id, currency, sum(amount_minor) AS refunded_minor
    FROM refunds
    WHERE status <> 'failed' AND is_test IS NOT TRUE
    GROUP BY source, order_id, currency
),
sums AS (
    SELECT
        o.source,
        o.order_id,
        o.order_number,
        o.customer_id,
        o.channel,
        o.location_id,
        o.placed_at,
        o.status,
        o.currency,
        o.ship_to_country_code,
        coalesce(l.lines, 0) AS lines,
        coalesce(l.items, 0) AS items,
        coalesce(l.units, 0) AS units,
        coalesce(l.lines_minor, 0) AS lines_minor,
        coalesce(o.discount_minor, 0) AS discount_minor,
        coalesce(o.shipping_minor, 0) AS shipping_minor,
        coalesce(
            o.total_minor,
            coalesce(l.lines_minor, 0)
                + coalesce(o.shipping_minor, 0)
                + coalesce(o.tip_minor, 0)
                - coalesce(o.discount_minor, 0)
        ) AS total_minor,
        coalesce(p.paid_minor, 0) AS paid_minor,
        coalesce(r.refunded_minor, 0) AS refunded_minor
    FROM orders o
    LEFT JOIN line_sums l
        ON l.source = o.source AND l.order_id = o.order_id AND l.currency = o.currency
    LEFT JOIN payment_sums p
        ON p.source = o.source AND p.order_id = o.order_id AND p.currency = o.currency
    LEFT JOIN refund_sums r
        ON r.source = o.source AND r.order_id = o.order_id AND r.currency = o.currency
    WHERE o.is_test IS NOT TRUE
)
SELECT
    source,
    order_id,
    order_number,
    customer_id,
    channel,
    location_id,
    placed_at,
    status,
    currency,
    ship_to_country_code,
    lines,
    items,
    units,
    lines_minor,
    discount_minor,
    shipping_minor,
    total_minor,
    paid_minor,
    refunded_minor,
    CASE WHEN status = 'cancelled' THEN 0 ELSE total_minor - paid_minor END AS open_minor
FROM sums;
