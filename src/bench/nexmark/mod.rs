//! Nexmark: an auction house's persons, auctions and bids, and 23 queries over them.
//!
//! The queries are those of the benchmark in our dialect. What differs: `q5` spells its hopping
//! windows as a join with the steps of a window; `q6` and others name further columns to order by,
//! so that there is one right answer; `q10` keeps what it would write to files as a view; `q11`
//! finds sessions by `lag`; `q12` uses the events' own time, because a view has no time of
//! processing; `q13` joins with a table in place of a file.

mod events;

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use self::events::Events;
use super::BenchError;
use super::workload::{Workload, table, tables};
use crate::model::{Change, ChangeKind, TableDefinition};

/// Keys of the side input of `q13`.
const SIDE_KEYS: i64 = 100;

/// The views: name and statement.
const VIEWS: &[(&str, &str)] = &[
    ("q0", include_str!("q0.sql")),
    ("q1", include_str!("q1.sql")),
    ("q2", include_str!("q2.sql")),
    ("q3", include_str!("q3.sql")),
    ("q4", include_str!("q4.sql")),
    ("q5", include_str!("q5.sql")),
    ("q6", include_str!("q6.sql")),
    ("q7", include_str!("q7.sql")),
    ("q8", include_str!("q8.sql")),
    ("q9", include_str!("q9.sql")),
    ("q10", include_str!("q10.sql")),
    ("q11", include_str!("q11.sql")),
    ("q12", include_str!("q12.sql")),
    ("q13", include_str!("q13.sql")),
    ("q14", include_str!("q14.sql")),
    ("q15", include_str!("q15.sql")),
    ("q16", include_str!("q16.sql")),
    ("q17", include_str!("q17.sql")),
    ("q18", include_str!("q18.sql")),
    ("q19", include_str!("q19.sql")),
    ("q20", include_str!("q20.sql")),
    ("q21", include_str!("q21.sql")),
    ("q22", include_str!("q22.sql")),
];

/// The workload: the same events for the same seed on every machine.
pub fn nexmark(seed: u64) -> Result<Workload, BenchError> {
    let tables = tables(include_str!("tables.sql"))?;
    let side_input = side_input(table(&tables, "side_input")?)?;
    let views = VIEWS.iter();
    let streamed = Arc::new([
        table(&tables, "person")?.clone(),
        table(&tables, "auction")?.clone(),
        table(&tables, "bid")?.clone(),
    ]);
    Ok(Workload {
        name: "nexmark".to_owned(),
        description: format!("Nexmark's events, seed {seed}"),
        tables,
        views: views
            .map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned()))
            .collect(),
        initial: vec![side_input],
        transactions: Box::new(move || Ok(Box::new(Events::new(seed, Arc::clone(&streamed))))),
    })
}

fn side_input(table: &TableDefinition) -> Result<Change, BenchError> {
    let keys = Int64Array::from_iter_values(0..SIDE_KEYS);
    let values = (0..SIDE_KEYS).map(|key| Some(format!("value {key}")));
    let values: StringArray = values.collect();
    let rows = RecordBatch::try_new(table.schema(), vec![Arc::new(keys), Arc::new(values)]);
    Ok(Change {
        table: Arc::from(table.name.as_str()),
        kind: ChangeKind::Upsert,
        rows: rows.map_err(|error| BenchError::Input(error.to_string()))?,
    })
}
