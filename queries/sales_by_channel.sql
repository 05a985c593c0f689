-- How do the channels compare? Orders, sales, returns and the net of each channel between two days
-- (UTC), both included, with each channel's share of the net in its currency.
--
-- param: from_day date = 1970-01-01  First day
-- param: to_day date = 9999-12-31  Last day
WITH sales AS (
    SELECT
        channel,
        currency,
        count(DISTINCT order_id) FILTER (WHERE NOT is_return AND line_type <> 'adjustment')
            AS orders,
        coalesce(sum(amount_minor) FILTER (WHERE NOT is_return), 0) AS gross_minor,
        coalesce(-sum(amount_minor) FILTER (WHERE is_return), 0) AS returned_minor,
        sum(amount_minor) AS net_minor
    FROM sale_lines
    WHERE CAST(sold_at AS DATE) >= CAST($from_day AS DATE)
        AND CAST(sold_at AS DATE) <= CAST($to_day AS DATE)
    GROUP BY channel, currency
),
totals AS (
    SELECT currency, sum(net_minor) AS net_minor FROM sales GROUP BY currency
)
SELECT
    s.channel,
    s.currency,
    s.orders,
    s.gross_minor,
    s.returned_minor,
    s.net_minor,
    round(100.0 * s.net_minor / nullif(t.net_minor, 0), 1) AS net_percent
FROM sales s
JOIN totals t ON t.currency = s.currency
ORDER BY s.currency, s.net_minor DESC, s.channel;
