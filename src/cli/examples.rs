//! The questions that the demo answers, each with the SQL that asks it.

use std::io::{self, IsTerminal};

use super::views::{ViewFile, find};

/// A question with its SQL.
#[derive(Debug)]
pub struct Example {
    /// What a shop would ask.
    pub question: &'static str,
    /// The same in SQL.
    pub sql: &'static str,
    /// The views it needs.
    views: &'static [&'static str],
}

const EXAMPLES: &[Example] = &[
    Example {
        question: "How does the business in euros develop?",
        sql: "\
SELECT CAST(date_trunc('month', sold_at) AS DATE) AS month,
       count(DISTINCT order_id) FILTER (WHERE NOT is_return) AS orders,
       sum(amount_minor) FILTER (WHERE NOT is_return) / 100 AS sales,
       -sum(amount_minor) FILTER (WHERE is_return) / 100 AS returns
FROM sale_lines
WHERE currency = 'EUR'
GROUP BY month
ORDER BY month DESC
LIMIT 6",
        views: &["sale_lines"],
    },
    Example {
        question: "What does each channel bring in?",
        sql: "\
SELECT channel, currency, count(*) AS orders,
       sum(total_minor) / count(*) / 100 AS average_order,
       sum(paid_minor - refunded_minor) / 100 AS received,
       sum(open_minor) / 100 AS still_open
FROM order_summary
GROUP BY channel, currency
ORDER BY orders DESC",
        views: &["order_summary"],
    },
    Example {
        question: "Who are the best customers?",
        sql: "\
SELECT first_name, last_name, source, orders, favourite_channel,
       net_minor / 100 AS net, CAST(last_order_at AS DATE) AS last_order
FROM customer_360
WHERE currency = 'EUR' AND customer_id IS NOT NULL
ORDER BY net_minor DESC, customer_id
LIMIT 5",
        views: &["customer_360"],
    },
    Example {
        question: "Who buys in the web shop and, with a loyalty card, in the stores?",
        sql: "\
SELECT w.first_name, w.last_name, w.orders AS web_orders, s.orders AS store_orders,
       (w.net_minor + s.net_minor) / 100 AS net
FROM customer_identifiers i
JOIN customer_identifiers j
  ON j.identifier_type = i.identifier_type AND j.identifier_value = i.identifier_value
JOIN customer_360 w ON w.source = i.source AND w.customer_id = i.customer_id
JOIN customer_360 s ON s.source = j.source AND s.customer_id = j.customer_id
WHERE i.identifier_type = 'email' AND i.source = 'webshop' AND j.source = 'tills'
  AND w.orders > 0 AND s.orders > 0
ORDER BY net DESC, w.customer_id
LIMIT 5",
        views: &["customer_360"],
    },
    Example {
        question: "What sold well in the last four weeks and is now sold out somewhere?",
        sql: "\
SELECT p.title, p.variant_title, a.location_id, d.units_sold,
       CAST(a.inbound AS BIGINT) AS on_its_way
FROM available_to_sell a
JOIN products p ON p.source = a.source AND p.product_id = a.product_id
JOIN (SELECT source, product_id, location_id, CAST(sum(units_sold) AS BIGINT) AS units_sold
      FROM demand_daily
      WHERE day > (SELECT max(day) FROM demand_daily) - INTERVAL '28 days'
      GROUP BY source, product_id, location_id) d
  ON d.source = a.source AND d.product_id = a.product_id AND d.location_id = a.location_id
WHERE a.scope = 'location' AND a.available <= 0 AND d.units_sold > 0
ORDER BY d.units_sold DESC, p.product_id, a.location_id
LIMIT 5",
        views: &["available_to_sell", "demand_daily"],
    },
    Example {
        question: "What comes back most often?",
        sql: "\
SELECT p.category,
       CAST(sum(r.units_sold) AS BIGINT) AS units_sold,
       CAST(sum(r.units_returned) AS BIGINT) AS units_returned,
       round(100.0 * sum(r.units_returned) / sum(r.units_sold), 1) AS percent
FROM returns_rate r
JOIN products p ON p.source = r.source AND p.product_id = r.product_id
GROUP BY p.category
HAVING sum(r.units_sold) > 0
ORDER BY percent DESC
LIMIT 5",
        views: &["returns_rate"],
    },
];

/// The examples that these views can answer.
pub fn for_views(views: &[ViewFile]) -> impl Iterator<Item = &'static Example> {
    let are_there = |example: &&Example| {
        let mut needed = example.views.iter();
        needed.all(|name| find(views, name).is_some())
    };
    EXAMPLES.iter().filter(are_there)
}

impl Example {
    /// Question and SQL as they stand above the answer; on a terminal the question stands out.
    pub fn heading(&self) -> String {
        let sql = self.sql.replace('\n', "\n  ");
        let is_styled = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        match is_styled {
            true => format!(
                "\n\x1b[1;36m{}\x1b[0m\n\x1b[2m  {sql}\x1b[0m\n",
                self.question
            ),
            false => format!("\n{}\n  {sql}\n", self.question),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::plans::Plans;
    use crate::cli::shipped;
    use crate::sql::statement::parse_query;

    #[test]
    fn the_shipped_views_answer_all_examples() {
        let views = shipped::views();
        assert_eq!(for_views(&views).count(), EXAMPLES.len());
        let mut plans = Plans::of_model();
        assert!(plans.add_all(&views).is_empty());
        for example in EXAMPLES {
            let query = parse_query(example.sql).expect("one query");
            let planned = plans.planner.query_schema(&plans.catalog, &query);
            assert!(planned.is_ok(), "{}", example.question);
        }
    }

    #[test]
    fn examples_without_their_views_are_left_out() {
        let some = [ViewFile {
            name: "order_summary".to_owned(),
            sql: String::new(),
            place: String::new(),
        }];
        assert_eq!(for_views(&some).count(), 1);
    }
}
