//! The rows that the generator makes, which has no seed: a scale factor has one set of them.

use std::iter::Peekable;
use std::sync::LazyLock;

use tpchgen::distribution::Distributions;
use tpchgen::generators::{
    Customer, CustomerGenerator, LineItem, LineItemGenerator, LineItemGeneratorIterator, Nation,
    NationGenerator, Order, OrderGenerator, OrderGeneratorIterator, Part, PartGenerator, PartSupp,
    PartSuppGenerator, Region, RegionGenerator, Supplier, SupplierGenerator,
};
use tpchgen::text::TextPool;

/// Bytes of the text that comments are cut from; the standard's 300 MB take long to make, and would
/// count as memory.
const COMMENTS: i32 = 4 << 20;

fn words() -> &'static Distributions {
    Distributions::static_default()
}

fn comments() -> &'static TextPool {
    static POOL: LazyLock<TextPool> = LazyLock::new(|| TextPool::new(COMMENTS, words()));
    &POOL
}

/// The rows of `region`.
pub fn regions() -> Vec<Region<'static>> {
    let generator = RegionGenerator::new_with_distributions_and_text_pool(words(), comments());
    generator.iter().collect()
}

/// The rows of `nation`.
pub fn nations() -> Vec<Nation<'static>> {
    let generator = NationGenerator::new_with_distributions_and_text_pool(words(), comments());
    generator.iter().collect()
}

/// The rows of `part`.
pub fn parts(factor: f64) -> Vec<Part<'static>> {
    PartGenerator::new_with_distributions_and_text_pool(factor, 1, 1, words(), comments())
        .iter()
        .collect()
}

/// The rows of `supplier`.
pub fn suppliers(factor: f64) -> Vec<Supplier> {
    SupplierGenerator::new_with_distributions_and_text_pool(factor, 1, 1, words(), comments())
        .iter()
        .collect()
}

/// The rows of `partsupp`: which supplier offers which part.
pub fn offers(factor: f64) -> Vec<PartSupp<'static>> {
    PartSuppGenerator::new_with_text_pool(factor, 1, 1, comments())
        .iter()
        .collect()
}

/// The rows of `customer`.
pub fn customers(factor: f64) -> Vec<Customer<'static>> {
    CustomerGenerator::new_with_distributions_and_text_pool(factor, 1, 1, words(), comments())
        .iter()
        .collect()
}

/// How many rows `orders` has.
pub fn order_count(factor: f64) -> i64 {
    OrderGenerator::calculate_row_count(factor, 1, 1)
}

/// Orders with their lines, by key and without end: behind those of the scale factor come more of
/// the same kind, of the same customers and for the same parts.
pub struct Series {
    factor: f64,
    part: i32,
    orders: OrderGeneratorIterator<'static>,
    lines: Peekable<LineItemGeneratorIterator<'static>>,
}

impl Series {
    /// The series from its first order on.
    pub fn new(factor: f64) -> Series {
        Series::part(factor, 1)
    }

    /// The generator counts parts of a scale factor from 1. Of one part, the second are the rows
    /// that its sequences of random numbers have next.
    fn part(factor: f64, part: i32) -> Series {
        let (words, pool) = (words(), comments());
        let orders = OrderGenerator::new_with_distributions_and_text_pool;
        let lines = LineItemGenerator::new_with_distributions_and_text_pool;
        Series {
            factor,
            part,
            orders: orders(factor, part, 1, words, pool).iter(),
            lines: lines(factor, part, 1, words, pool).iter().peekable(),
        }
    }

    /// The next order and its lines.
    pub fn next_order(&mut self) -> (Order<'static>, Vec<LineItem<'static>>) {
        let order = loop {
            match self.orders.next() {
                Some(order) => break order,
                None => *self = Series::part(self.factor, self.part + 1),
            }
        };
        let mut lines = Vec::new();
        while let Some(line) = self
            .lines
            .next_if(|line| line.l_orderkey == order.o_orderkey)
        {
            lines.push(line);
        }
        (order, lines)
    }
}
