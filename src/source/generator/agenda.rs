//! What is going to happen, in the order of time.

use std::collections::BTreeMap;

use super::calendar::Day;
use super::order::{Order, Refund};
use super::places::System;

/// Something that happens at its time.
#[derive(Debug)]
pub enum Happening {
    /// A day begins.
    Dawn(Day),
    /// Somebody buys in a system.
    Purchase(System),
    /// Somebody looks around in the web shop and leaves.
    Visit,
    /// Somebody who bought lately opens a newsletter.
    Newsletter,
    /// The goods of an order leave.
    Dispatch(Box<Order>),
    /// The money for an order comes.
    Payment(Box<Order>),
    /// An order is called off.
    Cancellation(Box<Order>, &'static str),
    /// The lines of an order at these positions come back; none: the buyer complains, and gets
    /// some of the money back.
    Return(Box<Order>, Vec<usize>),
    /// A refund that was asked for is paid out.
    Payout(Box<Refund>),
    /// The buyer says what they think of the goods.
    Review {
        system: System,
        person: Option<u32>,
        order_id: String,
        product: usize,
    },
    /// Goods arrive at a place.
    Arrival {
        location: usize,
        product: usize,
        units: i64,
    },
}

/// The happenings to come; those of one moment in the order in which they were planned.
#[derive(Default)]
pub struct Agenda {
    planned: BTreeMap<(i64, u64), Happening>,
    count: u64,
}

impl Agenda {
    /// Plans a happening for a moment in microseconds since the epoch.
    pub fn plan(&mut self, at_us: i64, happening: Happening) {
        self.count += 1;
        self.planned.insert((at_us, self.count), happening);
    }

    /// The next happening before a moment.
    pub fn next_before(&mut self, end_us: i64) -> Option<(i64, Happening)> {
        let first = self.planned.first_entry()?;
        if first.key().0 >= end_us {
            return None;
        }
        let ((at_us, _), happening) = first.remove_entry();
        Some((at_us, happening))
    }
}
