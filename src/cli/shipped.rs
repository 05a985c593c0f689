//! The views and queries that come with the program, so that it needs no directory to show them.

use super::definitions::NamedQueries;
use super::failure::Failure;
use super::views::ViewFile;
use crate::serve::named_query::NamedQuery;

const VIEWS: &[(&str, &str)] = &[
    (
        "available_to_sell",
        include_str!("../../dataflows/available_to_sell.sql"),
    ),
    (
        "customer_360",
        include_str!("../../dataflows/customer_360.sql"),
    ),
    (
        "customer_rfm",
        include_str!("../../dataflows/customer_rfm.sql"),
    ),
    (
        "demand_daily",
        include_str!("../../dataflows/demand_daily.sql"),
    ),
    (
        "order_summary",
        include_str!("../../dataflows/order_summary.sql"),
    ),
    (
        "product_360",
        include_str!("../../dataflows/product_360.sql"),
    ),
    (
        "returns_rate",
        include_str!("../../dataflows/returns_rate.sql"),
    ),
    ("sale_lines", include_str!("../../dataflows/sale_lines.sql")),
];

const QUERIES: &[(&str, &str)] = &[
    (
        "best_sellers",
        include_str!("../../queries/best_sellers.sql"),
    ),
    (
        "customer_orders",
        include_str!("../../queries/customer_orders.sql"),
    ),
    (
        "lapsed_customers",
        include_str!("../../queries/lapsed_customers.sql"),
    ),
    ("low_stock", include_str!("../../queries/low_stock.sql")),
    (
        "much_returned_products",
        include_str!("../../queries/much_returned_products.sql"),
    ),
    (
        "revenue_by_month",
        include_str!("../../queries/revenue_by_month.sql"),
    ),
    (
        "sales_by_channel",
        include_str!("../../queries/sales_by_channel.sql"),
    ),
    (
        "top_customers",
        include_str!("../../queries/top_customers.sql"),
    ),
];

/// The shipped views.
pub fn views() -> Vec<ViewFile> {
    let view = |(name, sql): &(&str, &str)| ViewFile {
        name: (*name).to_owned(),
        sql: (*sql).to_owned(),
        place: format!("dataflows/{name}.sql (shipped)"),
    };
    VIEWS.iter().map(view).collect()
}

/// The shipped queries.
pub fn queries() -> Result<NamedQueries, Failure> {
    let query = |(name, text): &(&str, &str)| {
        let query = NamedQuery::parse(name, text).map_err(|problem| {
            Failure::new(problem, "").at(format!("queries/{name}.sql (shipped)"))
        })?;
        Ok(((*name).to_owned(), query))
    };
    QUERIES.iter().map(query).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::cli::plans::Plans;

    fn names_in(directory: &str) -> BTreeSet<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let entries = fs::read_dir(path).expect("a directory");
        let stem = |entry: fs::DirEntry| entry.path().file_stem().map(|s| s.display().to_string());
        entries
            .filter_map(|entry| stem(entry.expect("an entry")))
            .collect()
    }

    #[test]
    fn all_files_are_shipped() {
        let views: BTreeSet<String> = views().into_iter().map(|view| view.name).collect();
        assert_eq!(views, names_in("dataflows"));
        let queries = queries().expect("good queries");
        assert_eq!(
            queries.into_keys().collect::<BTreeSet<_>>(),
            names_in("queries")
        );
    }

    #[test]
    fn all_shipped_views_and_queries_can_be_planned() {
        let mut plans = Plans::of_model();
        let mut failures = plans.add_all(&views());
        failures.extend(plans.check_queries(&queries().expect("good queries")));
        let failures: Vec<String> = failures.iter().map(ToString::to_string).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
