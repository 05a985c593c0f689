-- How often, how recently and for how much does a customer buy? The input of models that predict
-- whether customers come back (BG/NBD, Pareto/NBD), with the definitions of that literature (BTYD).
--
-- One row per source, customer and currency. Time is counted in days in UTC; several purchases on
-- a day are one. frequency: purchase days after the first. recency: from the first purchase day to
-- the last. t: from the first purchase day to the end of observation, which is the last day on
-- which the source sold anything; so a customer's t grows when somebody else buys, once a day.
-- Weeks are days / 7, rounded to two places.
-- monetary_minor: mean sales per repeat purchase day (the first day is left out, as in BTYD),
--   rounded half up; NULL without repeat purchases.
-- Returns are no purchases and are not taken off; guests are left out.
CREATE MATERIALIZED VIEW customer_rfm AS
WITH purchase_days AS (
    SELECT
        source,
        customer_id,
        currency,
        CAST(sold_at AS DATE) AS day,
        sum(amount_minor) AS amount_minor
    FROM sale_lines
    WHERE NOT is_return AND line_type = 'product' AND customer_id IS NOT NULL
    GROUP BY source, customer_id, currency, CAST(sold_at AS DATE)
),
observation AS (
    SELECT source, CAST(max(CAST(sold_at AS DATE)) AS INT) AS last_day
    FROM sale_lines
    WHERE NOT is_return AND line_type = 'product'
    GROUP BY source
),
history AS (
    SELECT
        source,
        customer_id,
        currency,
        min(day) AS first_day,
        max(day) AS last_day,
        count(*) - 1 AS frequency,
        sum(amount_minor) AS amount_minor
    FROM purchase_days
    GROUP BY source, customer_id, currency
),
first_days AS (
    SELECT h.*, p.amount_minor AS first_amount_minor
    FROM history h
    JOIN purchase_days p
        ON p.source = h.source
        AND p.customer_id = h.customer_id
        AND p.currency = h.currency
        AND p.day = h.first_day
),
spans AS (
    SELECT
        f.*,
        CAST(f.last_day AS INT) - CAST(f.first_day AS INT) AS recency_days,
        o.last_day - CAST(f.first_day AS INT) AS t_days
    FROM first_days f
    JOIN observation o ON o.source = f.source
)
SELECT
    source,
    customer_id,
    currency,
    first_day,
    last_day,
    frequency,
    recency_days,
    t_days,
    CAST(round(CAST(recency_days AS DECIMAL(18, 6)) / 7, 2) AS DECIMAL(10, 2)) AS recency_weeks,
    CAST(round(CAST(t_days AS DECIMAL(18, 6)) / 7, 2) AS DECIMAL(10, 2)) AS t_weeks,
    CASE
        WHEN frequency > 0
            THEN (2 * (amount_minor - first_amount_minor) + frequency) / (2 * frequency)
    END AS monetary_minor
FROM spans;
