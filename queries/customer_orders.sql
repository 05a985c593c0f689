-- What has this customer ordered? All orders of one customer, newest first: what an agent on the
-- phone wants to see.
--
-- param: customer_id text  The customer's id in its source
-- param: source text = ''  The source, where the id occurs in several; empty: any
SELECT
    source,
    order_id,
    order_number,
    placed_at,
    channel,
    status,
    items,
    units,
    currency,
    total_minor,
    paid_minor,
    refunded_minor,
    open_minor
FROM order_summary
WHERE customer_id = $customer_id AND ($source = '' OR source = $source)
ORDER BY placed_at DESC, source, order_id;
