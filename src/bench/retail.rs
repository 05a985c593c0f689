//! The retail workload: the lines of a chain of shops, with the long tails such lines have.
//!
//! A line is one product in one basket. Baskets come in order of time, each of a household at a
//! store. The shape follows public till data: at scale 1 some 2,500 households buy from 92,000
//! products in 580 stores, 4,000 lines a day, nine to a basket; few products and households make
//! most of the lines, and nearly every line is alone with its product, store and day. The same
//! seed and scale give the same lines on every machine.

use std::sync::Arc;

use super::workload::{Transactions, Workload};
use crate::model::{Change, ChangeKind, ColumnDefinition, Submission, TableDefinition};
use crate::source::generator::random::{Random, mix};
use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::record_batch::RecordBatch;

const HOUSEHOLDS: f64 = 2_469.0;
const PRODUCTS: f64 = 92_331.0;
const STORES: f64 = 582.0;
const BASKETS_A_DAY: f64 = 430.0;
const DAY_US: f64 = 86_400e6;
/// 2017-01-01, the day of the first line, in microseconds since the epoch.
const FIRST_DAY_US: i64 = 1_483_228_800_000_000;

const LINE_STREAM: u64 = 1;
const PRODUCT_STREAM: u64 = 2;
const HOUSEHOLD_STREAM: u64 = 3;

const DEPARTMENTS: &[&str] = &[
    "grocery",
    "drug",
    "produce",
    "meat",
    "meat packaged",
    "deli",
    "pastry",
    "nutrition",
    "cosmetics",
    "spirits",
    "floral",
    "seafood",
    "salad bar",
    "frozen",
    "dairy",
    "garden",
    "toys",
    "travel",
    "automotive",
    "photo",
];
const AGES: &[&str] = &["19-24", "25-34", "35-44", "45-54", "55-64", "65+"];
const INCOMES: &[&str] = &["under 35K", "35-49K", "50-74K", "75-99K", "100K and more"];

const CUSTOMER_360: &str = "\
CREATE MATERIALIZED VIEW customer_360 AS
SELECT l.*, h.age, h.income
FROM (
    SELECT household_id, count(*) AS lines, count(DISTINCT basket_id) AS baskets,
           sum(quantity) AS quantity, sum(sales_minor) AS sales_minor,
           sum(discount_minor) AS discount_minor,
           min(sold_at) AS first_sale_at, max(sold_at) AS last_sale_at
    FROM lines
    GROUP BY household_id
) AS l
LEFT JOIN households AS h ON h.household_id = l.household_id";

const PRODUCT_STORE_DAY: &str = "\
CREATE MATERIALIZED VIEW product_store_day AS
SELECT product_id, store_id, CAST(sold_at AS DATE) AS day, count(*) AS lines,
       sum(quantity) AS quantity, sum(sales_minor) AS sales_minor
FROM lines
GROUP BY product_id, store_id, CAST(sold_at AS DATE)";

const TOP_DEPARTMENTS: &str = "\
CREATE MATERIALIZED VIEW top_departments AS
SELECT household_id, department, sales_minor, place
FROM (
    SELECT household_id, department, sales_minor,
           row_number() OVER (PARTITION BY household_id
                              ORDER BY sales_minor DESC, department) AS place
    FROM (
        SELECT l.household_id, p.department, sum(l.sales_minor) AS sales_minor
        FROM lines AS l
        JOIN products AS p ON p.product_id = l.product_id
        GROUP BY l.household_id, p.department
    ) AS sums
) AS ranked
WHERE place <= 3";

/// The workload at a scale: so many times the households, products, stores and lines a day.
pub fn retail(seed: u64, scale: f64) -> Workload {
    let population = Population::at(scale);
    Workload {
        name: "retail".to_owned(),
        description: format!("retail lines, seed {seed}, scale {scale}"),
        tables: vec![lines_table(), products_table(), households_table()],
        views: [
            ("customer_360", CUSTOMER_360),
            ("product_store_day", PRODUCT_STORE_DAY),
            ("top_departments", TOP_DEPARTMENTS),
        ]
        .map(|(name, sql)| (name.to_owned(), sql.to_owned()))
        .to_vec(),
        initial: vec![population.products(seed), population.households(seed)],
        transactions: Box::new(move || Ok(Box::new(Lines::new(seed, scale)))),
    }
}

/// How many there are of each.
#[derive(Clone, Copy)]
struct Population {
    households: i64,
    products: i64,
    stores: i64,
}

impl Population {
    fn at(scale: f64) -> Population {
        let scaled = |count: f64| ((count * scale) as i64).max(1);
        Population {
            households: scaled(HOUSEHOLDS),
            products: scaled(PRODUCTS),
            stores: scaled(STORES),
        }
    }

    fn products(&self, seed: u64) -> Change {
        let random = &mut Random::new(seed, PRODUCT_STREAM);
        let departments = (0..self.products).map(|_| pick(DEPARTMENTS, tail(random)));
        let departments: StringArray = departments.map(Some).collect();
        let brands = (0..self.products).map(|_| Some(format!("brand {}", random.below(900))));
        let brands: StringArray = brands.collect();
        let ids = Int64Array::from_iter_values(0..self.products);
        let columns: [ArrayRef; 3] = [Arc::new(ids), Arc::new(departments), Arc::new(brands)];
        upsert(&products_table(), columns.to_vec())
    }

    /// A third of the households have told their age and income.
    fn households(&self, seed: u64) -> Change {
        let random = &mut Random::new(seed, HOUSEHOLD_STREAM);
        let ids: Vec<i64> = (0..self.households).filter(|id| id % 3 == 0).collect();
        let ages: StringArray = ids.iter().map(|_| Some(*random.pick(AGES))).collect();
        let incomes: StringArray = ids.iter().map(|_| Some(*random.pick(INCOMES))).collect();
        let ids = Int64Array::from(ids);
        let columns: [ArrayRef; 3] = [Arc::new(ids), Arc::new(ages), Arc::new(incomes)];
        upsert(&households_table(), columns.to_vec())
    }
}

/// The stream of lines.
struct Lines {
    random: Random,
    population: Population,
    gap_us: f64,
    now_us: f64,
    basket: Basket,
    baskets: i64,
}

/// The basket that is being filled.
struct Basket {
    household: i64,
    store: i64,
    left: u64,
}

impl Lines {
    fn new(seed: u64, scale: f64) -> Lines {
        Lines {
            random: Random::new(seed, LINE_STREAM),
            population: Population::at(scale),
            gap_us: DAY_US / (BASKETS_A_DAY * scale),
            now_us: 0.0,
            basket: Basket {
                household: 0,
                store: 0,
                left: 0,
            },
            baskets: 0,
        }
    }

    fn next_basket(&mut self) {
        let random = &mut self.random;
        self.now_us += self.gap_us * 2.0 * random.unit();
        self.baskets += 1;
        let household = spread(tail(random), self.population.households);
        // A household has a store it goes to and sometimes another.
        let home = mix(household as u64) % self.population.stores as u64;
        let away = random.below(self.population.stores as u64);
        let store = if random.below(5) > 0 { home } else { away };
        // One to 17 lines and now and then a cart full: nine on average.
        let cart = if random.below(40) == 0 { 12 } else { 0 };
        self.basket = Basket {
            household,
            store: store as i64,
            left: 1 + random.below(17) + cart,
        };
    }

    fn fill(&mut self, count: usize) -> Vec<ArrayRef> {
        let mut columns: [Vec<i64>; 8] = std::array::from_fn(|_| Vec::with_capacity(count));
        for _ in 0..count {
            if self.basket.left == 0 {
                self.next_basket();
            }
            self.basket.left -= 1;
            let random = &mut self.random;
            let tail = tail(random) * random.unit().sqrt();
            let product = spread(tail, self.population.products);
            let quantity = if random.below(6) == 0 {
                2 + random.below(4) as i64
            } else {
                1
            };
            let price = 49 + (mix(product as u64) % 1_500) as i64;
            let discount = if random.below(8) == 0 { price / 5 } else { 0 };
            let row = [
                self.basket.household,
                self.basket.store,
                self.baskets,
                product,
                quantity,
                quantity * (price - discount),
                quantity * discount,
                FIRST_DAY_US + self.now_us as i64,
            ];
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        let [rest @ .., times] = columns;
        arrays.extend(rest.map(|values| Arc::new(Int64Array::from(values)) as ArrayRef));
        let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
        arrays.push(Arc::new(times));
        arrays
    }
}

impl Transactions for Lines {
    fn next(&mut self, lines: usize) -> Result<Option<Submission>, super::BenchError> {
        let change = upsert(&lines_table(), self.fill(lines));
        Ok(Some(Submission {
            changes: vec![change],
            ..Submission::default()
        }))
    }
}

/// A position from 0 to 1 as one of `count` things, the first ones the most frequent.
fn spread(position: f64, count: i64) -> i64 {
    ((position * count as f64) as i64).min(count - 1)
}

fn pick(names: &'static [&'static str], position: f64) -> &'static str {
    names[spread(position, names.len() as i64) as usize]
}

/// From 0 to 1, small ones much more often.
fn tail(random: &mut Random) -> f64 {
    let unit = random.unit();
    unit * unit
}

fn upsert(table: &TableDefinition, columns: Vec<ArrayRef>) -> Change {
    let rows = RecordBatch::try_new(table.schema(), columns);
    Change {
        table: Arc::from(table.name.as_str()),
        kind: ChangeKind::Upsert,
        rows: rows.expect("the generator fills the columns that it declares"),
    }
}

fn lines_table() -> TableDefinition {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
    let columns = [
        ("household_id", DataType::Int64),
        ("store_id", DataType::Int64),
        ("basket_id", DataType::Int64),
        ("product_id", DataType::Int64),
        ("quantity", DataType::Int64),
        ("sales_minor", DataType::Int64),
        ("discount_minor", DataType::Int64),
        ("sold_at", time),
    ];
    table("lines", &columns, &[])
}

fn products_table() -> TableDefinition {
    let columns = [
        ("product_id", DataType::Int64),
        ("department", DataType::Utf8),
        ("brand", DataType::Utf8),
    ];
    table("products", &columns, &[0])
}

fn households_table() -> TableDefinition {
    let columns = [
        ("household_id", DataType::Int64),
        ("age", DataType::Utf8),
        ("income", DataType::Utf8),
    ];
    table("households", &columns, &[0])
}

fn table(name: &str, columns: &[(&str, DataType)], key: &[usize]) -> TableDefinition {
    let columns = columns.iter().map(|(name, data_type)| ColumnDefinition {
        name: (*name).to_owned(),
        data_type: data_type.clone(),
        nullable: false,
        description: String::new(),
        default: None,
        max_length: None,
    });
    TableDefinition {
        name: name.to_owned(),
        description: String::new(),
        columns: columns.collect(),
        primary_key: key.to_vec(),
        version: Vec::new(),
        event_identity: Vec::new(),
        append_only: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(seed: u64, sizes: &[usize]) -> Vec<RecordBatch> {
        let mut stream = Lines::new(seed, 0.1);
        let rows = sizes.iter().map(|size| {
            let submission = stream.next(*size).expect("lines").expect("no end");
            submission.changes[0].rows.clone()
        });
        rows.collect()
    }

    #[test]
    fn a_seed_gives_the_same_lines_however_they_are_cut() {
        let whole = lines(7, &[300]);
        let parts = lines(7, &[100, 150, 50]);
        assert_eq!(whole[0].slice(100, 150), parts[1]);
        assert_ne!(lines(8, &[300]), whole);
    }

    #[test]
    fn lines_have_the_shape_of_till_data() {
        let rows = lines(1, &[10_000]).remove(0);
        let distinct = |column: usize| {
            let values = rows.column(column).as_any().downcast_ref::<Int64Array>();
            let values = values.expect("a number").values();
            values
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len()
        };
        let baskets = distinct(2);
        assert!((800..1_400).contains(&baskets), "{baskets} baskets");
        assert!(distinct(3) > 2_000, "{} products", distinct(3));
    }
}
