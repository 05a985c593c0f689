//! The three views, as one who knows differential dataflow would write them: sums live in the
//! differences, and times are known to be totally ordered.

use std::cell::Cell;
use std::rc::Rc;

use differential_dataflow::operators::{CountTotal, ThresholdTotal};
use differential_dataflow::{AsCollection, VecCollection};
use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Input as _, Probe};
use timely::dataflow::{InputHandle, ProbeHandle, Stream};
use timely::worker::Worker;

use crate::rows::{Household, Line, Rows};

const DAY_US: i64 = 86_400_000_000;
const TOP: usize = 3;

type Updates<D> = CapacityContainerBuilder<Vec<(D, u64, isize)>>;
type Lines<'scope> = Stream<'scope, u64, Vec<(Line, u64, isize)>>;

/// Lines and baskets; quantity, sales and discount.
type Sums = ((i64, i64), (i64, i64, i64));

/// What is known of a household, to be put together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Part {
    Sums(Sums),
    Times(i64, i64),
    Told(Option<String>, Option<String>),
}

/// The rows that each view has, as its changes add up.
#[derive(Clone, Default)]
pub struct Counts(Rc<[Cell<i64>; 3]>);

impl Counts {
    /// The rows of the three views on this worker.
    pub fn rows(&self) -> [i64; 3] {
        std::array::from_fn(|view| self.0[view].get())
    }
}

/// The running dataflow of one worker.
pub struct Views {
    lines: InputHandle<u64, Updates<Line>>,
    products: InputHandle<u64, Updates<(i64, String)>>,
    households: InputHandle<u64, Updates<(i64, Household)>>,
    probe: ProbeHandle<u64>,
    /// The rows of the views.
    pub counts: Counts,
}

impl Views {
    /// Builds all views in one dataflow.
    pub fn build(worker: &mut Worker) -> Views {
        let mut lines = InputHandle::new_with_builder();
        let mut products = InputHandle::new_with_builder();
        let mut households = InputHandle::new_with_builder();
        let counts = Counts::default();
        let probe = ProbeHandle::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let all = scope.input_from(&mut lines);
            let products = scope.input_from(&mut products).as_collection();
            let households = scope.input_from(&mut households).as_collection();
            count(customer_360(all.clone(), households), &counts, 0, &probe);
            count(product_store_day(all.clone()), &counts, 1, &probe);
            count(top_departments(all, products), &counts, 2, &probe);
        });
        Views {
            lines,
            products,
            households,
            probe,
            counts,
        }
    }

    /// Hands in what is there before the first line.
    pub fn prepare(&mut self, rows: &Rows) {
        for product in &rows.products {
            self.products.send((product.clone(), 0, 1));
        }
        for household in &rows.households {
            self.households.send((household.clone(), 0, 1));
        }
    }

    /// Hands in lines at the current time.
    pub fn add(&mut self, lines: &[Line]) {
        let time = *self.lines.time();
        for line in lines {
            self.lines.send((*line, time, 1));
        }
    }

    /// Ends the current time.
    pub fn advance_to(&mut self, time: u64) {
        self.lines.advance_to(time);
        self.products.advance_to(time);
        self.households.advance_to(time);
        self.lines.flush();
        self.products.flush();
        self.households.flush();
    }

    /// Whether some view lacks changes of times before this one.
    pub fn is_behind(&self, time: u64) -> bool {
        self.probe.less_than(&time)
    }
}

fn count<'scope, D: Clone + 'static>(
    view: VecCollection<'scope, u64, D, isize>,
    counts: &Counts,
    number: usize,
    probe: &ProbeHandle<u64>,
) {
    let counts = counts.clone();
    view.inspect(move |(_, _, change)| {
        let count = &counts.0[number];
        count.set(count.get() + *change as i64);
    })
    .inner
    .probe_with(&mut probe.clone());
}

fn customer_360<'scope>(
    lines: Lines<'scope>,
    households: VecCollection<'scope, u64, (i64, Household), isize>,
) -> VecCollection<'scope, u64, (i64, Vec<Part>), isize> {
    let baskets = lines
        .clone()
        .map(|(line, time, change)| ((line.household, line.basket), time, change));
    let baskets = baskets.as_collection().distinct_total();
    let baskets = baskets
        .inner
        .map(|((household, _), time, change)| (household, time, ((0, change as i64), (0, 0, 0))));
    let sums = lines.clone().map(|(line, time, change)| {
        let change = change as i64;
        let amounts = (
            line.quantity * change,
            line.sales_minor * change,
            line.discount_minor * change,
        );
        (line.household, time, ((change, 0), amounts))
    });
    let sums = sums
        .as_collection()
        .concat(baskets.as_collection())
        .count_total();
    let times = lines.map(|(line, time, change)| ((line.household, line.sold_at_us), time, change));
    let times = times.as_collection().reduce(|_, input, output| {
        output.push(((*input[0].0, *input[input.len() - 1].0), 1_isize));
    });
    let parts = sums.map(|(household, sums)| (household, Part::Sums(sums)));
    let times = times.map(|(household, (first, last))| (household, Part::Times(first, last)));
    let told = households.map(|(household, (age, income))| (household, Part::Told(age, income)));
    parts.concat(times).concat(told).reduce(|_, input, output| {
        if let Part::Sums(_) = input[0].0 {
            let parts = input.iter().map(|(part, _)| (*part).clone()).collect();
            output.push((parts, 1_isize));
        }
    })
}

fn product_store_day<'scope>(
    lines: Lines<'scope>,
) -> VecCollection<'scope, u64, ((i64, i64, i64), (i64, i64, i64)), isize> {
    let sums = lines.map(|(line, time, change)| {
        let day = line.sold_at_us.div_euclid(DAY_US);
        let change = change as i64;
        let sums = (change, line.quantity * change, line.sales_minor * change);
        ((line.product, line.store, day), time, sums)
    });
    sums.as_collection().count_total()
}

fn top_departments<'scope>(
    lines: Lines<'scope>,
    products: VecCollection<'scope, u64, (i64, String), isize>,
) -> VecCollection<'scope, u64, (i64, (i64, String)), isize> {
    let sales = lines.map(|(line, time, change)| {
        (
            (line.product, (line.household, line.sales_minor)),
            time,
            change,
        )
    });
    let joined = sales
        .as_collection()
        .join_map(products, |_, (household, sales), department| {
            (*household, *sales, department.clone())
        });
    let sums = joined
        .inner
        .map(|((household, sales, department), time, change)| {
            (
                (household, department),
                time,
                (change as i64, sales * change as i64),
            )
        });
    let sums = sums.as_collection().count_total();
    let ordered =
        sums.map(|((household, department), (_, sales))| (household, (-sales, department)));
    ordered.reduce(|_, input, output| {
        for (row, _) in input.iter().take(TOP) {
            output.push(((*row).clone(), 1_isize));
        }
    })
}
