//! The eight tables: generated rows as text, and small random transactions over them.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::ReaderBuilder;
use mainstem::engine::Engine;
use mainstem::model::{Change, ChangeKind, Submission};
use rand::RngExt;
use rand_pcg::Pcg64;
use tpchgen::distribution::Distributions;
use tpchgen::generators as tpch;
use tpchgen::text::TextPool;

/// About 600 customers, 6,000 orders and 24,000 order lines.
const SCALE: f64 = 0.004;
/// Bytes of the text that comments are cut from; the standard's 300 MB take long to make.
const COMMENT_POOL_BYTES: i32 = 4 << 20;
/// One order in this many is not there at first.
const HELD_BACK: usize = 10;

/// The fields of a row as text.
type Row = Vec<String>;

/// What the tables hold, and what is still to come.
pub struct Data {
    tables: BTreeMap<&'static str, Vec<Row>>,
    /// Orders with their lines.
    waiting: Vec<(Row, Vec<Row>)>,
}

fn row(line: impl std::fmt::Display) -> Row {
    let line = line.to_string();
    let fields = line.trim_end_matches('|').split('|');
    fields.map(str::to_owned).collect()
}

fn rows(lines: impl IntoIterator<Item = impl std::fmt::Display>) -> Vec<Row> {
    lines.into_iter().map(row).collect()
}

impl Data {
    pub fn generate() -> Data {
        let words = Distributions::static_default();
        let pool = TextPool::new(COMMENT_POOL_BYTES, words);
        let nations = tpch::NationGenerator::new_with_distributions_and_text_pool(words, &pool);
        let regions = tpch::RegionGenerator::new_with_distributions_and_text_pool(words, &pool);
        let parts =
            tpch::PartGenerator::new_with_distributions_and_text_pool(SCALE, 1, 1, words, &pool);
        let suppliers = tpch::SupplierGenerator::new_with_distributions_and_text_pool(
            SCALE, 1, 1, words, &pool,
        );
        let offers = tpch::PartSuppGenerator::new_with_text_pool(SCALE, 1, 1, &pool);
        let customers = tpch::CustomerGenerator::new_with_distributions_and_text_pool(
            SCALE, 1, 1, words, &pool,
        );
        let orders =
            tpch::OrderGenerator::new_with_distributions_and_text_pool(SCALE, 1, 1, words, &pool);
        let lines = tpch::LineItemGenerator::new_with_distributions_and_text_pool(
            SCALE, 1, 1, words, &pool,
        );
        let mut by_order: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for line in rows(lines.iter()) {
            by_order.entry(line[0].clone()).or_default().push(line);
        }
        let (mut waiting, mut present, mut present_lines) = (Vec::new(), Vec::new(), Vec::new());
        for (number, order) in rows(orders.iter()).into_iter().enumerate() {
            let lines = by_order.remove(&order[0]).unwrap_or_default();
            if number % HELD_BACK == 0 {
                waiting.push((order, lines));
            } else {
                present.push(order);
                present_lines.extend(lines);
            }
        }
        let tables = BTreeMap::from([
            ("region", rows(regions.iter())),
            ("nation", rows(nations.iter())),
            ("part", rows(parts.iter())),
            ("supplier", rows(suppliers.iter())),
            ("partsupp", rows(offers.iter())),
            ("customer", rows(customers.iter())),
            ("orders", present),
            ("lineitem", present_lines),
        ]);
        Data { tables, waiting }
    }

    /// Everything that is there at first, table by table.
    pub fn initial(&self, engine: &Engine) -> Submission {
        let changes = self.tables.iter();
        let changes = changes.map(|(table, rows)| change(engine, table, ChangeKind::Upsert, rows));
        Submission {
            changes: changes.collect(),
            ..Submission::default()
        }
    }

    /// A transaction of a few orders that come, go or change, and of changes elsewhere.
    pub fn step(&mut self, engine: &Engine, random: &mut Pcg64) -> Submission {
        let mut changes = Vec::new();
        match random.random_range(0..3) {
            0 => self.insert(engine, random, &mut changes),
            1 => self.delete(engine, random, &mut changes),
            _ => {}
        }
        for _ in 0..random.random_range(1..4) {
            self.update(engine, random, &mut changes);
        }
        Submission {
            changes,
            ..Submission::default()
        }
    }

    fn insert(&mut self, engine: &Engine, random: &mut Pcg64, changes: &mut Vec<Change>) {
        let (mut orders, mut lines) = (Vec::new(), Vec::new());
        for _ in 0..random.random_range(1..12) {
            if self.waiting.is_empty() {
                break;
            }
            let chosen = random.random_range(0..self.waiting.len());
            let (order, of_order) = self.waiting.swap_remove(chosen);
            orders.push(order);
            lines.extend(of_order);
        }
        changes.push(change(engine, "orders", ChangeKind::Upsert, &orders));
        changes.push(change(engine, "lineitem", ChangeKind::Upsert, &lines));
        self.table("orders").extend(orders);
        self.table("lineitem").extend(lines);
    }

    fn delete(&mut self, engine: &Engine, random: &mut Pcg64, changes: &mut Vec<Change>) {
        let orders = self.table("orders");
        let mut gone = Vec::new();
        for _ in 0..random.random_range(1..12) {
            gone.push(orders.swap_remove(random.random_range(0..orders.len())));
        }
        let is_gone = |line: &Row| gone.iter().any(|order| order[0] == line[0]);
        let (lines, kept) = std::mem::take(self.table("lineitem"))
            .into_iter()
            .partition::<Vec<Row>, _>(is_gone);
        *self.table("lineitem") = kept;
        changes.push(change(engine, "orders", ChangeKind::Delete, &gone));
        changes.push(change(engine, "lineitem", ChangeKind::Delete, &lines));
    }

    /// Gives one column of a few rows of one table values of other rows.
    fn update(&mut self, engine: &Engine, random: &mut Pcg64, changes: &mut Vec<Change>) {
        let columns: [(&'static str, &[usize]); 7] = [
            ("part", &[1, 3, 4, 5, 6]),
            ("supplier", &[3, 5, 6]),
            ("partsupp", &[2, 3]),
            ("customer", &[3, 4, 5, 6]),
            ("orders", &[1, 2, 3, 4, 5, 8]),
            ("lineitem", &[1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14]),
            ("nation", &[2]),
        ];
        let (name, columns) = columns[random.random_range(0..columns.len())];
        let table = self.table(name);
        let mut changed: BTreeMap<usize, Row> = BTreeMap::new();
        for _ in 0..random.random_range(1..20) {
            let column = columns[random.random_range(0..columns.len())];
            let other = table[random.random_range(0..table.len())][column].clone();
            let position = random.random_range(0..table.len());
            table[position][column] = other;
            changed.insert(position, table[position].clone());
        }
        let changed: Vec<Row> = changed.into_values().collect();
        changes.push(change(engine, name, ChangeKind::Upsert, &changed));
    }

    fn table(&mut self, name: &str) -> &mut Vec<Row> {
        self.tables.get_mut(name).expect("one of the eight tables")
    }
}

fn change(engine: &Engine, table: &str, kind: ChangeKind, rows: &[Row]) -> Change {
    Change {
        table: Arc::from(table),
        kind,
        rows: batch(engine, table, rows),
    }
}

fn batch(engine: &Engine, table: &str, rows: &[Row]) -> RecordBatch {
    let tables = engine.tables();
    let definition = tables.iter().find(|definition| definition.name == table);
    let schema = definition.expect("the table has been created").schema();
    let lines: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
    let mut reader = ReaderBuilder::new(Arc::clone(&schema))
        .with_delimiter(b'|')
        .with_batch_size(rows.len().max(1))
        .build(Cursor::new(lines.join("\n")))
        .expect("a reader");
    let rows = reader
        .next()
        .map(|rows| rows.expect("rows of the table's types"));
    rows.unwrap_or_else(|| RecordBatch::new_empty(schema))
}
