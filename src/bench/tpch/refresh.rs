//! The transactions: the orders of the scale factor, each with its lines, and behind them refreshes
//! without end, as the benchmark's refresh functions make them. A new order comes, the oldest one
//! goes, and so on by turns, so that as much stays as the scale factor has.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use tpchgen::generators::{LineItem, Order};

use super::columns;
use super::generated::{Series, order_count};
use crate::bench::BenchError;
use crate::bench::workload::Transactions;
use crate::model::{Change, ChangeKind, Submission, TableDefinition};

/// The load and the refreshes of a scale factor.
pub struct Refreshes {
    tables: Arc<[TableDefinition; 2]>,
    /// How many orders are loaded.
    loaded: i64,
    /// How many orders have come or gone.
    happened: i64,
    coming: Series,
    going: Series,
}

/// Orders and lines of a transaction that come, or that go.
#[derive(Default)]
struct Orders {
    orders: Vec<Order<'static>>,
    lines: Vec<LineItem<'static>>,
}

impl Refreshes {
    /// The stream from its beginning, for the tables of orders and of their lines.
    pub fn new(factor: f64, tables: Arc<[TableDefinition; 2]>) -> Refreshes {
        Refreshes {
            tables,
            loaded: order_count(factor),
            happened: 0,
            coming: Series::new(factor),
            going: Series::new(factor),
        }
    }

    fn is_loading(&self) -> bool {
        self.happened < self.loaded
    }

    /// What comes and what goes in a transaction of `rows` rows or, as orders are whole, a few
    /// more. One that loads ends with the load.
    fn orders(&mut self, rows: usize) -> (Orders, Orders) {
        let (mut come, mut gone) = (Orders::default(), Orders::default());
        let is_loading = self.is_loading();
        while come.rows() + gone.rows() < rows && self.is_loading() == is_loading {
            match !is_loading && (self.happened - self.loaded) % 2 == 1 {
                true => gone.add(&mut self.going),
                false => come.add(&mut self.coming),
            }
            self.happened += 1;
        }
        (come, gone)
    }
}

impl Transactions for Refreshes {
    fn next(&mut self, lines: usize) -> Result<Option<Submission>, BenchError> {
        let (come, gone) = self.orders(lines);
        let [orders, lines] = self.tables.as_ref();
        // An order may come and go in one transaction, in this order.
        let changes = [
            change(orders, ChangeKind::Upsert, columns::orders(&come.orders))?,
            change(lines, ChangeKind::Upsert, columns::lines(&come.lines))?,
            change(orders, ChangeKind::Delete, columns::orders(&gone.orders))?,
            change(lines, ChangeKind::Delete, columns::lines(&gone.lines))?,
        ];
        let changes = changes.into_iter();
        Ok(Some(Submission {
            changes: changes
                .filter(|change| change.rows.num_rows() > 0)
                .collect(),
            ..Submission::default()
        }))
    }
}

impl Orders {
    fn rows(&self) -> usize {
        self.orders.len() + self.lines.len()
    }

    fn add(&mut self, series: &mut Series) {
        let (order, lines) = series.next_order();
        self.orders.push(order);
        self.lines.extend(lines);
    }
}

/// A change of a table.
pub fn change(
    table: &TableDefinition,
    kind: ChangeKind,
    columns: Vec<ArrayRef>,
) -> Result<Change, BenchError> {
    let rows = RecordBatch::try_new(table.schema(), columns);
    Ok(Change {
        table: Arc::from(table.name.as_str()),
        kind,
        rows: rows.map_err(|error| BenchError::Input(error.to_string()))?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::bench::workload::rows_of;

    /// The smallest scale.
    const SCALE: f64 = 0.005;

    fn begin() -> Box<dyn Transactions> {
        let workload = crate::bench::tpch(SCALE).expect("a workload");
        (workload.transactions)().expect("a stream")
    }

    /// Transactions until there are this many rows.
    fn taken(stream: &mut dyn Transactions, rows: usize, transaction: usize) -> Vec<Submission> {
        crate::bench::workload::take(stream, rows, transaction).expect("no end")
    }

    /// The keys of the orders of a table that come or go, in their order; of lines, each time.
    fn keys(submissions: &[Submission], table: &str, kind: ChangeKind) -> Vec<i64> {
        let changes = submissions.iter().flat_map(|one| &one.changes);
        let changes = changes.filter(|one| one.kind == kind && one.table.as_ref() == table);
        let keys = changes.flat_map(|one| one.rows.column(0).as_primitive::<Int64Type>().values());
        keys.copied().collect()
    }

    #[test]
    fn the_same_orders_come_and_go_however_they_are_cut() {
        let whole = taken(begin().as_mut(), 9_000, 9_000);
        let parts = taken(begin().as_mut(), 9_000, 70);
        for table in ["orders", "lineitem"] {
            for kind in [ChangeKind::Upsert, ChangeKind::Delete] {
                let (whole, parts) = (keys(&whole, table, kind), keys(&parts, table, kind));
                let both = whole.len().min(parts.len());
                assert!(both > 100, "{both} rows of {table}: {kind:?}");
                assert_eq!(whole[..both], parts[..both], "{table}: {kind:?}");
            }
        }
    }

    #[test]
    fn behind_the_load_the_oldest_orders_make_room_for_new_ones() {
        let submissions = taken(begin().as_mut(), 12_000, 500);
        let is_load = |one: &&Submission| {
            let mut changes = one.changes.iter();
            changes.all(|change| change.kind == ChangeKind::Upsert)
        };
        let load: usize = submissions.iter().take_while(is_load).map(rows_of).sum();
        assert!((7_000..8_000).contains(&load), "{load} rows are loaded");
        let come = keys(&submissions, "orders", ChangeKind::Upsert);
        let gone = keys(&submissions, "orders", ChangeKind::Delete);
        assert!(gone.len() > 100 && come[..gone.len()] == gone);
        assert!((come.len() - gone.len()).abs_diff(1_500) <= 1);
        let different: BTreeSet<i64> = come.iter().copied().collect();
        assert_eq!(different.len(), come.len(), "no key comes twice");
    }

    #[test]
    fn orders_come_and_go_with_all_their_lines() {
        let mut stream = begin();
        let submissions = taken(stream.as_mut(), 9_000, 100);
        for one in submissions {
            let size = rows_of(&one);
            assert!(size < 108, "{size} rows");
            for kind in [ChangeKind::Upsert, ChangeKind::Delete] {
                let orders = keys(std::slice::from_ref(&one), "orders", kind);
                let mut lines = keys(std::slice::from_ref(&one), "lineitem", kind);
                lines.dedup();
                assert_eq!(orders, lines, "{kind:?}");
            }
        }
    }
}
