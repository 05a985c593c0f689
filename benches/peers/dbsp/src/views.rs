//! The three views as one circuit, as one who knows DBSP would write it: lines are indexed by
//! household as they come in, what can be summed is summed by linear aggregates, and one star join
//! puts a household together instead of a chain of joins with their states.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dbsp::circuit::CircuitConfig;
use dbsp::dynamic::DowncastTrait;
use dbsp::operator::{Max, Min};
use dbsp::trace::{BatchReader as _, Cursor as _};
use dbsp::utils::{Tup2, Tup3, Tup4, Tup7, Tup8};
use dbsp::{
    DBData, DBSPHandle, IndexedZSetHandle, OrdIndexedZSet, RootCircuit, Runtime, Stream, ZWeight,
    define_star_join_index,
};

use crate::rows::{Line, Rows};

const DAY_US: i64 = 86_400_000_000;
const TOP: usize = 3;
/// What a worker is given at a time, as in Feldera unless it is told otherwise.
const STEP: usize = 10_000;

define_star_join_index!(5);

type Indexed<K, V> = Stream<RootCircuit, OrdIndexedZSet<K, V>>;

/// A line without its household: basket, time, product, store, quantity, sales, discount.
type Sold = Tup7<i64, i64, i64, i64, i64, i64, i64>;

/// Age and income, of a household that has told them.
type Told = Option<Tup2<Option<String>, Option<String>>>;

/// Lines, baskets, quantity, sales, discount, first and last sale, what was told.
type Customer = Tup8<i64, i64, i64, i64, i64, i64, i64, Told>;

/// A product, a store and a day.
type Place = Tup3<i64, i64, i64>;

/// What the changes of a view add up to.
#[derive(Default)]
struct Total {
    rows: AtomicI64,
    lines: AtomicI64,
    sales: AtomicI64,
}

type Totals = Arc<[Total; 3]>;

/// Where rows are handed in.
struct Inputs {
    lines: IndexedZSetHandle<i64, Sold>,
    products: IndexedZSetHandle<i64, String>,
    households: IndexedZSetHandle<i64, Told>,
}

/// The running circuit.
pub struct Views {
    circuit: DBSPHandle,
    inputs: Inputs,
    totals: Totals,
    step: usize,
}

impl Views {
    /// Starts a circuit of all views, all of its state in memory.
    pub fn start(workers: usize) -> Result<Views, dbsp::Error> {
        // Rows are always there before a commit begins, so that exchanges need not look for them.
        let config = CircuitConfig::with_workers(workers).with_allow_input_during_commit(false);
        let totals = Totals::default();
        let seen = Arc::clone(&totals);
        let (circuit, inputs) =
            Runtime::init_circuit(config, move |circuit| Ok(build(circuit, &seen)))?;
        Ok(Views {
            circuit,
            inputs,
            totals,
            step: STEP * workers,
        })
    }

    /// Hands in what is there before the first line.
    pub fn prepare(&mut self, rows: &Rows) -> Result<(), dbsp::Error> {
        let products = rows.products.iter();
        let mut products: Vec<_> = products
            .map(|(product, department)| Tup2(*product, Tup2(department.clone(), 1)))
            .collect();
        let households = rows.households.iter();
        let mut households: Vec<_> = households
            .map(|(household, (age, income))| {
                let told = Some(Tup2(age.clone(), income.clone()));
                Tup2(*household, Tup2(told, 1))
            })
            .collect();
        self.inputs.products.append(&mut products);
        self.inputs.households.append(&mut households);
        self.circuit.transaction()
    }

    /// Adds lines in one transaction; all views have them when it returns.
    pub fn add(&mut self, lines: &[Line]) -> Result<(), dbsp::Error> {
        if lines.len() <= self.step {
            self.hand_in(lines);
            return self.circuit.transaction();
        }
        self.circuit.start_transaction()?;
        for part in lines.chunks(self.step) {
            self.hand_in(part);
            self.circuit.step()?;
        }
        self.circuit.commit_transaction()
    }

    fn hand_in(&self, lines: &[Line]) {
        let mut sold: Vec<_> = lines
            .iter()
            .map(|line| {
                let sold = Tup7(
                    line.basket,
                    line.sold_at_us,
                    line.product,
                    line.store,
                    line.quantity,
                    line.sales_minor,
                    line.discount_minor,
                );
                Tup2(line.household, Tup2(sold, 1))
            })
            .collect();
        self.inputs.lines.append(&mut sold);
    }

    /// The rows of each view, where both that sum up all lines have all of them.
    pub fn rows(&self, lines: &[Line]) -> Result<[i64; 3], String> {
        let sales: i64 = lines.iter().map(|line| line.sales_minor).sum();
        let expected = (lines.len() as i64, sales);
        for (total, view) in self
            .totals
            .iter()
            .zip(["customer_360", "product_store_day"])
        {
            let found = (
                total.lines.load(Ordering::Relaxed),
                total.sales.load(Ordering::Relaxed),
            );
            if found != expected {
                return Err(format!(
                    "{view}: lines and sales add up to {found:?}, not to {expected:?}"
                ));
            }
        }
        let rows = |view: usize| self.totals[view].rows.load(Ordering::Relaxed);
        Ok(std::array::from_fn(rows))
    }
}

fn build(circuit: &RootCircuit, totals: &Totals) -> Inputs {
    let (lines, lines_handle) = circuit.add_input_indexed_zset::<i64, Sold>();
    let (products, products_handle) = circuit.add_input_indexed_zset::<i64, String>();
    let (households, households_handle) = circuit.add_input_indexed_zset::<i64, Told>();
    let customers = customer_360(&lines, &households);
    add_up(&customers, totals, 0, |row| (row.0, row.3));
    let days = product_store_day(&lines);
    add_up(&days, totals, 1, |row| (row.0, row.2));
    let departments = top_departments(&lines, &products);
    add_up(&departments, totals, 2, |_| (0, 0));
    Inputs {
        lines: lines_handle,
        products: products_handle,
        households: households_handle,
    }
}

/// Adds up a view's changes where they come out, step by step: nothing is kept or sent on.
fn add_up<K, V>(
    view: &Indexed<K, V>,
    totals: &Totals,
    number: usize,
    lines_and_sales: impl Fn(&V) -> (i64, i64) + 'static,
) where
    K: DBData,
    V: DBData,
{
    let totals = Arc::clone(totals);
    view.inspect(move |changes: &OrdIndexedZSet<K, V>| {
        let (mut rows, mut lines, mut sales) = (0, 0, 0);
        let mut cursor = changes.cursor();
        while cursor.key_valid() {
            while cursor.val_valid() {
                let change: ZWeight = **cursor.weight();
                let of_row = lines_and_sales(cursor.val().downcast_checked::<V>());
                rows += change;
                lines += change * of_row.0;
                sales += change * of_row.1;
                cursor.step_val();
            }
            cursor.step_key();
        }
        let total = &totals[number];
        total.rows.fetch_add(rows, Ordering::Relaxed);
        total.lines.fetch_add(lines, Ordering::Relaxed);
        total.sales.fetch_add(sales, Ordering::Relaxed);
    });
}

fn customer_360(
    lines: &Indexed<i64, Sold>,
    households: &Indexed<i64, Told>,
) -> Indexed<i64, Customer> {
    let sums: Indexed<i64, Tup4<i64, i64, i64, i64>> =
        lines.aggregate_linear(|sold: &Sold| Tup4(1_i64, sold.4, sold.5, sold.6));
    let baskets: Indexed<i64, i64> = by_household(lines, |sold| sold.0).distinct_count();
    let times = by_household(lines, |sold| sold.1);
    let first: Indexed<i64, i64> = times.aggregate(Min);
    let last: Indexed<i64, i64> = times.aggregate(Max);
    // The last of the five need not be there: then it is None.
    star_join_index5(
        &sums,
        (&baskets, false),
        (&first, false),
        (&last, false),
        (households, true),
        |household, sums, baskets, first, last, told| {
            let customer = Tup8(
                sums.0,
                *baskets,
                sums.1,
                sums.2,
                sums.3,
                *first,
                *last,
                told.clone(),
            );
            Some((*household, customer))
        },
    )
}

/// A field of each line. A household's lines are with one worker already, which DBSP cannot see of
/// what a closure returns: without a word it would send them around once more.
fn by_household(
    lines: &Indexed<i64, Sold>,
    field: impl Fn(&Sold) -> i64 + 'static,
) -> Indexed<i64, i64> {
    let fields: Indexed<i64, i64> =
        lines.map_index(move |(household, sold)| (*household, field(sold)));
    fields.inner().mark_sharded_if(&lines.inner());
    fields
}

fn product_store_day(lines: &Indexed<i64, Sold>) -> Indexed<Place, Tup3<i64, i64, i64>> {
    lines
        .map_index(|(_, sold)| {
            let day = sold.1.div_euclid(DAY_US);
            (Tup3(sold.2, sold.3, day), Tup2(sold.4, sold.5))
        })
        .aggregate_linear(|sold: &Tup2<i64, i64>| Tup3(1_i64, sold.0, sold.1))
}

fn top_departments(
    lines: &Indexed<i64, Sold>,
    products: &Indexed<i64, String>,
) -> Indexed<i64, Tup2<i64, String>> {
    let sales = lines.map_index(|(household, sold)| (sold.2, Tup2(*household, sold.5)));
    let joined: Indexed<Tup2<i64, String>, i64> = sales
        .join_index(products, |_, sale, department| {
            Some((Tup2(sale.0, department.clone()), sale.1))
        });
    // Lines are counted so that a group whose sales add up to nothing is still there.
    let sums = joined.aggregate_linear_postprocess(
        |sales: &i64| Tup2(1_i64, *sales),
        |sums: Tup2<i64, i64>| sums.1,
    );
    sums.map_index(|(group, sales)| (group.0, Tup2(-*sales, group.1.clone())))
        .topk_asc(TOP)
}
