//! The page on aggregates and window functions names every function there is, and each of them is
//! maintained, or refused where the page says so.

use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::functions_window::all_default_window_functions;
use mainstem::sql::{Planner, statement};

use crate::oracle;

const PAGE: &str = include_str!("../docs/sql-aggregates.md");

/// Arguments that suit one function or another.
const ARGUMENTS: &[&str] = &["", "b", "f, d", "b > 2", "t, ','", "b, 2", "b, 0.5", "3"];

fn is_maintained(call: &str) -> bool {
    let sql = format!("SELECT {call} AS x FROM r");
    let query = statement::parse_query(&sql).expect("a query");
    let planner = Planner::new();
    let view = planner.plan_view(&oracle::catalog(), "v", &query, &sql);
    view.is_ok()
}

fn assert_named(name: &str, aliases: &[String]) {
    let mut names = aliases.iter().map(String::as_str).chain([name]);
    let is_named =
        |name: &str| PAGE.contains(&format!("`{name}`")) || PAGE.contains(&format!("`{name}("));
    assert!(names.any(is_named), "the page does not name {name}");
}

#[test]
fn every_aggregate_function_is_maintained_or_refused_as_its_page_says() {
    for function in all_default_aggregate_functions() {
        let name = function.name();
        assert_named(name, function.aliases());
        if name == "grouping" {
            continue;
        }
        let mut calls = ARGUMENTS
            .iter()
            .map(|arguments| format!("{name}({arguments})"));
        let is_estimate = name.starts_with("approx_");
        assert_eq!(
            calls.any(|call| is_maintained(&call)),
            !is_estimate,
            "{name}"
        );
    }
}

#[test]
fn aggregates_that_datafusion_has_not_are_named_and_maintained() {
    for call in [
        "mode(b)",
        "json_agg(b)",
        "jsonb_agg(t)",
        "json_object_agg(t, b)",
        "percentile_disc(0.5) WITHIN GROUP (ORDER BY b)",
    ] {
        let name = call.split('(').next().expect("a name");
        assert_named(name, &[]);
        assert!(is_maintained(call), "{call}");
    }
}

#[test]
fn every_window_function_is_maintained() {
    for function in all_default_window_functions() {
        let name = function.name();
        assert_named(name, function.aliases());
        let mut calls = ARGUMENTS
            .iter()
            .map(|arguments| format!("{name}({arguments}) OVER (PARTITION BY a ORDER BY b, t)"));
        assert!(calls.any(|call| is_maintained(&call)), "{name}");
    }
}
