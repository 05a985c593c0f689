//! The other ways to read a view: they must tell the same as a scan.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use mainstem::dataflow::{Command, PublishedView, PublishedViews, Subscriber, ViewTask, Workers};
use mainstem::sql::plan::{Node, Plan};

/// Rows as texts, each with how often it is there.
type Bag = BTreeMap<String, i64>;

/// The number of the view that is read, and of the one that reads it.
const VIEW: u64 = 1;
const COPY: u64 = 2;

/// Keys that are looked up each time.
const LOOKUPS: usize = 8;

/// Somebody who follows a view's changes, and another view that reads it.
pub struct Readers {
    subscriber: Subscriber,
    followed: Bag,
}

impl Readers {
    /// Begins to follow the view as it stands. The copy is created with the next commit.
    pub fn begin(workers: &Workers, plan: &Plan, timestamp_ms: u64) -> Readers {
        let begun = Subscriber::begin(workers.progress(), VIEW);
        let (subscriber, view) = begun.expect("the view is there");
        let copy = Plan {
            node: Node::View { name: "v".into() },
            schema: Arc::clone(&plan.schema),
        };
        let create = Command::Create {
            view: Arc::new(ViewTask {
                number: COPY,
                name: "copy".into(),
                plan: Arc::new(copy),
                key: Vec::new(),
                reads: vec![("v".into(), VIEW)],
            }),
            timestamp_ms,
            tables: Arc::default(),
        };
        workers.send(&create).expect("workers run");
        Readers {
            followed: bag(&scan(&view, subscriber.timestamp_ms)),
            subscriber,
        }
    }

    /// Compares all ways with a scan of the view.
    pub fn assert_equal(&mut self, published: &PublishedViews, context: &str) {
        let timestamp_ms = published.timestamp_ms;
        let view = &published.views[&VIEW];
        let rows = scan(view, timestamp_ms);
        let expected = bag(&rows);
        self.follow(timestamp_ms);
        assert_eq!(self.followed, expected, "followed; {context}");
        if let Some(copy) = published.views.get(&COPY) {
            let copied = bag(&scan(copy, timestamp_ms));
            assert_eq!(copied, expected, "read by a view; {context}");
        }
        let count: i64 = expected.values().sum();
        assert_eq!(
            view.row_count(timestamp_ms) as i64,
            count,
            "counted; {context}"
        );
        assert_lookups(view, &rows, timestamp_ms, context);
    }

    fn follow(&mut self, timestamp_ms: u64) {
        let changes = self.subscriber.take(timestamp_ms).expect("not behind");
        for changes in changes {
            let differences = changes.column(1).as_primitive::<Int64Type>().values();
            let columns: Vec<usize> = (2..changes.num_columns()).collect();
            let rows = changes.project(&columns).expect("the view's columns");
            for (text, difference) in texts(&rows).into_iter().zip(differences) {
                *self.followed.entry(text).or_default() += difference;
            }
        }
        self.followed.retain(|_, count| *count != 0);
    }
}

fn assert_lookups(view: &PublishedView, rows: &[RecordBatch], timestamp_ms: u64, context: &str) {
    let key = &view.shape.key;
    if key.len() == view.shape.schema.fields().len() {
        return;
    }
    for batch in rows {
        for (row, text) in texts(batch).into_iter().enumerate().take(LOOKUPS) {
            let values = key.iter().map(|column| batch.column(*column).slice(row, 1));
            let found = view.lookup(&values.collect::<Vec<_>>(), timestamp_ms);
            assert_eq!(texts(&found), vec![text], "looked up; {context}");
        }
    }
}

fn scan(view: &PublishedView, timestamp_ms: u64) -> Vec<RecordBatch> {
    let shares = 0..view.shares.len();
    shares
        .flat_map(|share| view.scan(share, timestamp_ms, None))
        .collect()
}

fn bag(batches: &[RecordBatch]) -> Bag {
    let mut bag = Bag::new();
    for text in batches.iter().flat_map(texts) {
        *bag.entry(text).or_default() += 1;
    }
    bag
}

fn texts(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch.columns().iter();
    let columns: Vec<ArrayFormatter> = columns
        .map(|column| ArrayFormatter::try_new(column, &options).expect("a type with a text"))
        .collect();
    let text = |row: usize| {
        let values = columns.iter().map(|column| column.value(row).to_string());
        values.collect::<Vec<_>>().join("|")
    };
    (0..batch.num_rows()).map(text).collect()
}
