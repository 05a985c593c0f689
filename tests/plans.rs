//! Golden plans: what views become, as text. `INSTA_UPDATE=always cargo test plans::` accepts
//! changes, which the diff of `tests/golden/` then shows.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstem::model::standard_tables;
use mainstem::sql::{Catalog, Planner, Statement, parse};

use crate::oracle;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a text with `tests/golden/<name>.snap`.
fn compare(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => repository().join("tests/golden"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

/// The statements of the shipped views by name.
fn shipped() -> Vec<(String, String)> {
    let files = fs::read_dir(repository().join("dataflows")).expect("dataflows/ is there");
    let mut views: Vec<(String, String)> = files
        .map(|file| file.expect("a directory entry").path())
        .map(|path| (stem(&path), fs::read_to_string(&path).expect("text")))
        .collect();
    views.sort();
    views
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.expect("a UTF-8 name").to_owned()
}

#[test]
fn shipped_views_have_their_golden_plans() {
    let planner = Planner::new();
    let mut catalog = Catalog::default();
    for table in standard_tables() {
        catalog.tables.insert(table.name.clone(), Arc::new(table));
    }
    let mut waiting = shipped();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut failures = String::new();
        waiting.retain(|(name, text)| {
            let Some(Statement::CreateMaterializedView { query, text, .. }) =
                parse(text).expect(name).pop()
            else {
                panic!("{name} is not a view");
            };
            match planner.plan_view(&catalog, name, &query, &text) {
                Ok(view) => {
                    compare(&format!("view_{name}"), &view.plan.to_string());
                    catalog.live_views.insert(name.clone(), Arc::new(view));
                    false
                }
                Err(error) => {
                    failures += &format!("{name}: {error}\n");
                    true
                }
            }
        });
        assert!(waiting.len() < before, "{failures}");
    }
}

#[test]
fn constructs_have_their_golden_plans() {
    compare("constructs", &plans(oracle::CONSTRUCTS));
}

#[test]
fn aggregates_have_their_golden_plans() {
    let views = [
        oracle::aggregates::ADDITIVE,
        oracle::aggregates::PICKED,
        oracle::aggregates::RECOMPUTED,
        oracle::aggregates::GROUPINGS,
    ];
    compare("aggregates", &plans(&views.concat()));
}

#[test]
fn window_functions_have_their_golden_plans() {
    compare("windows", &plans(oracle::windows::WINDOWS));
}

fn plans(views: &[&str]) -> String {
    let planner = Planner::new();
    let catalog = oracle::catalog();
    let mut text = String::new();
    for sql in views {
        let query = mainstem::sql::statement::parse_query(sql).expect(sql);
        let view = planner.plan_view(&catalog, "v", &query, sql).expect(sql);
        writeln!(text, "{sql}\n{}\n", view.plan).expect("writing to a String");
    }
    text
}

#[test]
fn refusals_say_why_and_what_to_do() {
    let planner = Planner::new();
    let catalog = oracle::catalog();
    let mut text = String::new();
    for sql in [
        "SELECT now() AS at FROM r",
        "SELECT random() AS x FROM r",
        "SELECT approx_distinct(b) AS x FROM r",
        "SELECT a, approx_percentile_cont(f, 0.5) AS x FROM r GROUP BY a",
        "SELECT count(DISTINCT a, b) AS x FROM r",
        "SELECT a, bit_xor(DISTINCT b) AS x, count(DISTINCT t) AS n FROM r GROUP BY a",
        "SELECT bit_and(b) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS x FROM r",
        "SELECT (SELECT a FROM r) AS x",
        "SELECT a, a FROM r",
        "SELECT nothing FROM r",
        "SELECT a FROM nowhere",
        "SELECT * FROM r, LATERAL (SELECT * FROM s WHERE s.k = r.a LIMIT 1) AS x",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
        "SELECT unnest(make_array(a, b)) AS x FROM r",
    ] {
        let query = mainstem::sql::statement::parse_query(sql).expect(sql);
        let error = match planner.plan_view(&catalog, "v", &query, sql) {
            Ok(view) => panic!("{sql} is planned:\n{}", view.plan),
            Err(error) => error,
        };
        let hint = error.hint.unwrap_or_default();
        writeln!(
            text,
            "{sql}\n  {} {}\n  {hint}\n",
            error.sqlstate, error.message
        )
        .expect("writing to a String");
    }
    compare("refusals", &text);
}
