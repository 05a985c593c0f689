-- What was sold and what came back, line by line, with the customer, channel and place of its order?
--
-- The common ground of the other views: every line that counts, signed, so that sums are net.
-- Returns: both kinds are here with negative amounts, those booked as negative order lines and
--   those booked as refunds. Money refunded beyond a refund's lines (shipping, goodwill) is a line
--   of type `adjustment` without product. A refund whose order is unknown has no customer.
-- is_return: goods or money went back (negative quantity or amount); a negative line of type
--   `discount` makes a sale cheaper and is no return.
-- Left out: orders that are cancelled or tests with all their lines and refunds, failed refunds,
--   lines whose order has not arrived yet.
-- Guests have no customer_id. Amounts stay in the currency of their line.
-- Money is what the lines say; discounts and shipping that stand on the order alone are in
--   order_summary.
CREATE MATERIALIZED VIEW sale_lines AS
WITH refunded_by_lines AS (
    SELECT source, refund_id, sum(amount_minor) AS amount_minor
    FROM refund_lines
    GROUP BY source, refund_id
),
refund_parts AS (
    SELECT
        f.source,
        f.order_id,
        f.refund_id,
        r.refund_line_id,
        r.product_id,
        'product' AS line_type,
        f.refunded_at,
        r.currency,
        CAST(-r.quantity AS DECIMAL(18, 4)) AS quantity,
        -r.amount_minor AS amount_minor
    FROM refund_lines r
    JOIN refunds f ON f.source = r.source AND f.refund_id = r.refund_id
    WHERE f.status <> 'failed' AND f.is_test IS NOT TRUE
    UNION ALL
    SELECT
        f.source,
        f.order_id,
        f.refund_id,
        CAST(NULL AS VARCHAR) AS refund_line_id,
        CAST(NULL AS VARCHAR) AS product_id,
        'adjustment' AS line_type,
        f.refunded_at,
        f.currency,
        CAST(0 AS DECIMAL(18, 4)) AS quantity,
        coalesce(b.amount_minor, 0) - f.amount_minor AS amount_minor
    FROM refunds f
    LEFT JOIN refunded_by_lines b ON b.source = f.source AND b.refund_id = f.refund_id
    WHERE f.status <> 'failed'
        AND f.is_test IS NOT TRUE
        AND coalesce(b.amount_minor, 0) <> f.amount_minor
)
SELECT
    l.source,
    l.order_id,
    l.line_id,
    CAST(NULL AS VARCHAR) AS refund_id,
    o.customer_id,
    o.channel,
    o.location_id,
    l.product_id,
    l.line_type,
    o.placed_at AS sold_at,
    l.currency,
    l.quantity,
    l.total_minor AS amount_minor,
    l.line_type <> 'discount' AND (l.quantity < 0 OR l.total_minor < 0) AS is_return
FROM order_lines l
JOIN orders o ON o.source = l.source AND o.order_id = l.order_id
WHERE o.status <> 'cancelled' AND o.is_test IS NOT TRUE
UNION ALL
SELECT
    p.source,
    p.order_id,
    p.refund_line_id AS line_id,
    p.refund_id,
    o.customer_id,
    o.channel,
    o.location_id,
    p.product_id,
    p.line_type,
    p.refunded_at AS sold_at,
    p.currency,
    p.quantity,
    p.amount_minor,
    TRUE AS is_return
FROM refund_parts p
LEFT JOIN orders o ON o.source = p.source AND o.order_id = p.order_id
WHERE (o.status IS NULL OR o.status <> 'cancelled') AND o.is_test IS NOT TRUE;
