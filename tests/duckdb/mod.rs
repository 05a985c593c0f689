//! Benchmarks' queries as live views, equal to DuckDB's answers after every transaction.
//!
//! `verify.py` does the work, over the Postgres protocol; DuckDB's extensions bring tables, rows
//! and the texts of the queries. Which queries: `DUCKDB_QUERIES` (`all`, or names such as
//! `q1,q72`; some of them by default); how many transactions: `DUCKDB_TRANSACTIONS`; how large
//! TPC-H is: `TPCH_SCALE`; what was found is written into a page by
//! `DUCKDB_DOCUMENT=docs/benchmarks-sql.md`. With many transactions, a query whose answer never
//! changed fails the test.

use std::path::Path;
use std::process::Command;

use crate::serve::Served;
use crate::tools::has_program;

/// Transactions where nothing else is asked for.
const TRANSACTIONS: &str = "4";

fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Runs the comparison; `some` are the queries where nothing else is asked for.
fn verify(benchmark: &str, some: &str) {
    let modules = format!("import duckdb, psycopg, duckdb_extension_{benchmark}");
    if !has_program(&python(), &["-c", &modules]) {
        return;
    }
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or(default.to_owned());
    let served = Served::start(10);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/duckdb/verify.py");
    let mut command = Command::new(python());
    command
        .arg(script)
        .arg(benchmark)
        .args(["--port", &served.port().to_string()])
        .args(["--seed", &crate::oracle::seed().to_string()])
        .args([
            "--transactions",
            &setting("DUCKDB_TRANSACTIONS", TRANSACTIONS),
        ])
        .args(["--queries", &setting("DUCKDB_QUERIES", some)]);
    if let Ok(page) = std::env::var("DUCKDB_DOCUMENT") {
        command.args(["--document", &page]);
    }
    let status = command.status().expect("Python runs");
    assert!(status.success(), "{benchmark}: see above");
}

#[test]
fn tpcds_queries_equal_duckdb_after_small_transactions() {
    verify("tpcds", "20");
}

#[test]
fn tpch_queries_equal_duckdb_after_small_transactions() {
    verify("tpch", "all");
}
