//! SQL over the store through DataFusion.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::RelationProvider;
use crate::model::{Change, ChangeKind, ColumnDefinition, TableDefinition};
use crate::view::{TableSnapshot, TableStore};

fn definition(name: &str, columns: &[(&str, DataType)], primary_key: &[usize]) -> TableDefinition {
    let columns = columns.iter().map(|(name, data_type)| ColumnDefinition {
        name: (*name).to_owned(),
        data_type: data_type.clone(),
        nullable: true,
        description: String::new(),
        default: None,
        max_length: None,
    });
    TableDefinition {
        name: name.to_owned(),
        description: String::new(),
        columns: columns.collect(),
        primary_key: primary_key.to_vec(),
        version: Vec::new(),
        event_identity: Vec::new(),
        append_only: false,
    }
}

fn apply(store: &mut TableStore, kind: ChangeKind, columns: Vec<ArrayRef>, timestamp: u64) {
    let rows = RecordBatch::try_new(store.definition().schema(), columns).unwrap();
    let change = Change {
        table: store.definition().name.as_str().into(),
        kind,
        rows,
    };
    store.apply(&change, timestamp).unwrap();
}

/// Order lines: 5,000 orders with 3 lines each, in several commits; every tenth line is replaced
/// later and every hundredth deleted, so that no segment is whole.
fn lines() -> TableSnapshot {
    let columns = [
        ("order_id", DataType::Int64),
        ("line", DataType::Utf8),
        ("product", DataType::Int64),
        ("amount", DataType::Float64),
    ];
    let mut store = TableStore::new(definition("lines", &columns, &[0, 1])).unwrap();
    let columns = |lines: &[i64], amount: f64| -> Vec<ArrayRef> {
        let line = |n: &i64| format!("L{}", n % 3);
        vec![
            Arc::new(Int64Array::from_iter_values(lines.iter().map(|n| n / 3))),
            Arc::new(StringArray::from_iter_values(lines.iter().map(line))),
            Arc::new(Int64Array::from_iter_values(lines.iter().map(|n| n % 50))),
            Arc::new(Float64Array::from(vec![amount; lines.len()])),
        ]
    };
    let all: Vec<i64> = (0..15_000).collect();
    for (timestamp, part) in (1..).zip(all.chunks(4_000)) {
        apply(
            &mut store,
            ChangeKind::Upsert,
            columns(part, 1.0),
            timestamp,
        );
    }
    let every = |step: usize| all.iter().copied().step_by(step).collect::<Vec<_>>();
    apply(&mut store, ChangeKind::Upsert, columns(&every(10), 2.0), 10);
    apply(
        &mut store,
        ChangeKind::Delete,
        columns(&every(100), 0.0),
        11,
    );
    // Beyond what is read below.
    apply(&mut store, ChangeKind::Upsert, columns(&all, 99.0), 12);
    store.snapshot(11).unwrap()
}

fn products() -> TableSnapshot {
    let columns = [("product", DataType::Int64), ("name", DataType::Utf8)];
    let mut store = TableStore::new(definition("products", &columns, &[0])).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..50)),
        Arc::new(StringArray::from_iter_values(
            (0..50).map(|n| format!("product {n}")),
        )),
    ];
    apply(&mut store, ChangeKind::Upsert, columns, 1);
    store.snapshot(1).unwrap()
}

fn context() -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3));
    for (name, snapshot) in [("lines", lines()), ("products", products())] {
        let provider = RelationProvider::new(name, Arc::new(snapshot));
        context.register_table(name, Arc::new(provider)).unwrap();
    }
    context
}

async fn query(context: &SessionContext, sql: &str) -> String {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let rows = text.lines().skip(3).filter(|line| !line.starts_with('+'));
    let cells = rows.map(|row| row.split_whitespace().collect::<String>());
    cells.collect::<Vec<_>>().join("\n")
}

/// Queries with their rows, without blanks.
const QUERIES: &[(&str, &str)] = &[
    ("SELECT count(*) FROM lines", "|14850|"),
    (
        "SELECT count(amount), sum(amount) FROM lines",
        "|14850|16200.0|",
    ),
    ("SELECT count(*) FROM lines WHERE amount > 1.5", "|1350|"),
    ("SELECT count(*) FROM (SELECT * FROM lines LIMIT 7)", "|7|"),
    (
        "SELECT count(*) FROM (SELECT product FROM lines LIMIT 20000)",
        "|14850|",
    ),
    (
        "SELECT count(*) FROM (SELECT * FROM lines WHERE amount = 2.0 LIMIT 1400)",
        "|1350|",
    ),
    (
        "SELECT line, order_id FROM lines ORDER BY order_id DESC, line LIMIT 2",
        "|L0|4999|\n|L1|4999|",
    ),
    ("SELECT name FROM products WHERE product = 7", "|product7|"),
    (
        "SELECT name FROM products WHERE 7 = product AND name <> 'product 7'",
        "",
    ),
    (
        "SELECT name FROM products WHERE product IN (7, 7, 9, 99) ORDER BY 1",
        "|product7|\n|product9|",
    ),
    (
        "SELECT count(*) FROM products WHERE product IN (1, 2, 3, 4, 5, 6, 50)",
        "|6|",
    ),
    (
        "SELECT count(*) FROM products WHERE product NOT IN (1, 2, 3, 4, 5)",
        "|45|",
    ),
    ("SELECT name FROM products WHERE product = NULL", ""),
    (
        "SELECT name FROM products WHERE product = 7 AND product = 8",
        "",
    ),
    (
        "SELECT name FROM products WHERE product = 7 OR name = 'product 8' ORDER BY 1",
        "|product7|\n|product8|",
    ),
    (
        "SELECT * FROM lines WHERE order_id = 10 AND line = 'L1'",
        "|10|L1|31|1.0|",
    ),
    (
        "SELECT amount FROM lines WHERE line = 'L0' AND order_id = 10",
        "|2.0|",
    ),
    ("SELECT count(*) FROM lines WHERE order_id = 10", "|3|"),
    (
        "SELECT count(*) FROM lines WHERE order_id = 100 AND line = 'L0'",
        "|0|",
    ),
    (
        "SELECT name, count(*), sum(amount) FROM lines JOIN products USING (product) \
          WHERE lines.product < 2 GROUP BY name ORDER BY name",
        "|product0|150|300.0|\n|product1|300|300.0|",
    ),
    (
        "SELECT count(*) FROM lines a JOIN lines b USING (order_id, line)",
        "|14850|",
    ),
];

#[tokio::test]
async fn sql_reads_what_the_store_holds() {
    let context = context();
    for (sql, expected) in QUERIES {
        assert_eq!(query(&context, sql).await, *expected, "{sql}");
    }
}

#[tokio::test]
async fn plans_look_up_where_they_can() {
    let context = context();
    let looks_up = [
        ("SELECT name FROM products WHERE product = 7", true),
        (
            "SELECT name FROM products WHERE product IN (1, 2, 3, 4, 5)",
            true,
        ),
        (
            "SELECT name FROM products WHERE product = 1 OR product = 2",
            true,
        ),
        ("SELECT name FROM products WHERE product > 7", false),
        (
            "SELECT amount FROM lines WHERE order_id = 10 AND line IN ('L0', 'L1')",
            true,
        ),
        ("SELECT amount FROM lines WHERE order_id = 10", false),
    ];
    for (sql, expected) in looks_up {
        let plan = query(&context, &format!("EXPLAIN FORMAT INDENT {sql}")).await;
        assert_eq!(!plan.contains("RelationScan"), expected, "{sql}: {plan}");
    }
    let plan = query(
        &context,
        "EXPLAIN FORMAT INDENT SELECT line FROM lines LIMIT 5",
    )
    .await;
    assert!(plan.contains("RelationScan:lines[line],limit=5"), "{plan}");
}
