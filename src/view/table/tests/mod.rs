//! The store: against a model, and what single cases must come to.

mod history;
mod store;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;

use super::TableSnapshot;
use crate::model::{Change, ChangeKind, ColumnDefinition, TableDefinition};

/// store, channel, version, payload.
type Row = (i64, String, Option<i64>, Option<String>);

fn definition(
    primary_key: &[usize],
    version: &[usize],
    event_identity: &[usize],
) -> TableDefinition {
    let column = |name: &str, data_type: DataType, nullable: bool| ColumnDefinition {
        name: name.to_owned(),
        data_type,
        nullable,
        description: String::new(),
        default: None,
        max_length: None,
    };
    TableDefinition {
        name: "stock".to_owned(),
        description: String::new(),
        columns: vec![
            column("store", DataType::Int64, false),
            column("channel", DataType::Utf8, true),
            column("version", DataType::Int64, true),
            column("payload", DataType::Utf8, true),
        ],
        primary_key: primary_key.to_vec(),
        version: version.to_vec(),
        event_identity: event_identity.to_vec(),
        append_only: false,
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.2))),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.3.clone()))),
    ];
    RecordBatch::try_new(definition(&[], &[], &[]).schema(), columns).unwrap()
}

fn change(kind: ChangeKind, rows: &[Row]) -> Change {
    Change {
        table: "stock".into(),
        kind,
        rows: batch(rows),
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let store = batch.column(0).as_primitive::<Int64Type>();
    let channel = batch.column(1).as_string::<i32>();
    let version = batch.column(2).as_primitive::<Int64Type>();
    let payload = batch.column(3).as_string::<i32>();
    (0..batch.num_rows())
        .map(|row| {
            (
                store.value(row),
                channel.value(row).to_owned(),
                version.is_valid(row).then(|| version.value(row)),
                payload.is_valid(row).then(|| payload.value(row).to_owned()),
            )
        })
        .collect()
}

fn content(snapshot: &TableSnapshot) -> Vec<Row> {
    let batches = snapshot.scan(None);
    let mut rows: Vec<Row> = batches.flat_map(|rows| rows_of(&rows.unwrap())).collect();
    rows.sort();
    rows
}

fn simple(store: i64, payload: &str) -> Row {
    (store, String::new(), None, Some(payload.to_owned()))
}
