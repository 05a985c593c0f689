//! TPC-H: a wholesaler's parts, suppliers, customers and orders, and 22 queries over them.
//!
//! The queries are those of the benchmark with parameters under which a small scale still gives
//! answers. What differs: those that are meant for the first rows of an order have their limit, and
//! as a last key the one that decides between equal rows, so that there is one right answer; `q15`
//! has a common table expression in place of a view of its own.

mod columns;
mod generated;
mod queries;
mod refresh;

use std::sync::Arc;

use self::refresh::{Refreshes, change};
use super::BenchError;
use super::workload::{Workload, table, tables};
use crate::model::{Change, ChangeKind, TableDefinition};

/// The scale of TPC-H's scale factor 1. At scale 1, orders and their lines are 1.5 million rows.
const FULL_SCALE: f64 = 5.0;
/// The scale of ten suppliers and 150 customers: with none the generator would look for one for ever.
const LEAST_SCALE: f64 = 0.005;

/// The workload at a scale, of which TPC-H's scale factor is a fifth: the same rows on every machine.
/// All but orders and their lines is there from the start.
pub fn tpch(scale: f64) -> Result<Workload, BenchError> {
    if scale < LEAST_SCALE {
        let message = format!("scale {scale} is too small for TPC-H: give {LEAST_SCALE} or more");
        return Err(BenchError::Input(message));
    }
    let factor = scale / FULL_SCALE;
    let tables = tables(include_str!("tables.sql"))?;
    let initial = initial(&tables, factor)?;
    let streamed = Arc::new([
        table(&tables, "orders")?.clone(),
        table(&tables, "lineitem")?.clone(),
    ]);
    Ok(Workload {
        name: "tpch".to_owned(),
        description: format!("TPC-H's orders and refreshes, scale factor {factor}"),
        tables,
        views: queries::views()?,
        initial,
        transactions: Box::new(move || Ok(Box::new(Refreshes::new(factor, Arc::clone(&streamed))))),
    })
}

/// What orders refer to.
fn initial(tables: &[TableDefinition], factor: f64) -> Result<Vec<Change>, BenchError> {
    let columns = [
        ("region", columns::regions(&generated::regions())),
        ("nation", columns::nations(&generated::nations())),
        ("part", columns::parts(&generated::parts(factor))),
        (
            "supplier",
            columns::suppliers(&generated::suppliers(factor)),
        ),
        ("partsupp", columns::offers(&generated::offers(factor))),
        (
            "customer",
            columns::customers(&generated::customers(factor)),
        ),
    ];
    let changes = columns.into_iter().map(|(name, columns)| {
        let table = table(tables, name)?;
        change(table, ChangeKind::Upsert, columns)
    });
    changes.collect()
}
