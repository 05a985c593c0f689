-- How does the business develop? Orders, active customers, sales, returns and net of each month.
--
-- Months in UTC. A return counts in the month in which it comes back. Active customers are known
-- ones; guests are not counted among them.
--
-- param: months bigint = 12  How many months to list, counted back from the newest
SELECT
    date_trunc('month', sold_at) AS month,
    currency,
    count(DISTINCT concat(source, ' ', order_id))
        FILTER (WHERE NOT is_return AND line_type <> 'adjustment') AS orders,
    count(DISTINCT concat(source, ' ', customer_id))
        FILTER (WHERE NOT is_return AND customer_id IS NOT NULL) AS active_customers,
    coalesce(sum(amount_minor) FILTER (WHERE NOT is_return), 0) AS gross_minor,
    coalesce(-sum(amount_minor) FILTER (WHERE is_return), 0) AS returned_minor,
    sum(amount_minor) AS net_minor
FROM sale_lines
WHERE 12 * date_part('year', sold_at) + date_part('month', sold_at) > (
    SELECT max(12 * date_part('year', sold_at) + date_part('month', sold_at)) FROM sale_lines
) - $months
GROUP BY date_trunc('month', sold_at), currency
ORDER BY month DESC, currency;
