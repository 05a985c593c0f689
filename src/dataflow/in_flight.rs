//! The transactions that a worker works on at a time.
//!
//! Working on several, each at its own timestamp, spares rounds of coordination while a backlog is
//! being worked off. What is made of them on the way is memory beside the state, so that there are
//! fewer if they are large, and more as long as they are small.

use std::collections::VecDeque;

/// Transactions that are worked on at a time, unless they are large.
const SOME: usize = 4;

/// The same whatever their size, so that no worker waits for others with nothing to do.
const FEW: usize = 2;

/// Rows from which on there are only few.
const LARGE_ROWS: usize = 128 * 1024;

/// Rows up to which there are more.
const SMALL_ROWS: usize = 16_384;

/// What even the smallest transaction counts for, so that their number is bounded.
const LEAST_ROWS: usize = 64;

/// The transactions at work, oldest first.
#[derive(Default)]
pub struct InFlight {
    transactions: VecDeque<Transaction>,
    rows: usize,
}

struct Transaction {
    timestamp_ms: u64,
    rows: usize,
}

impl InFlight {
    /// Whether one more may be taken in.
    pub fn has_room(&self) -> bool {
        match self.transactions.len() {
            ..FEW => true,
            FEW..SOME => self.rows < LARGE_ROWS,
            _ => self.rows < SMALL_ROWS,
        }
    }

    /// Takes one in.
    pub fn push(&mut self, timestamp_ms: u64, rows: usize) {
        let rows = rows.max(LEAST_ROWS);
        self.rows += rows;
        self.transactions
            .push_back(Transaction { timestamp_ms, rows });
    }

    /// The timestamp of the oldest.
    pub fn oldest(&self) -> Option<u64> {
        self.transactions.front().map(|oldest| oldest.timestamp_ms)
    }

    /// Takes the oldest out.
    pub fn pop(&mut self) {
        if let Some(oldest) = self.transactions.pop_front() {
            self.rows -= oldest.rows;
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_in(rows: usize) -> usize {
        let mut in_flight = InFlight::default();
        let mut count = 0;
        while in_flight.has_room() {
            count += 1;
            in_flight.push(count as u64, rows);
        }
        assert_eq!(in_flight.oldest(), Some(1));
        for _ in 0..count {
            in_flight.pop();
        }
        assert!(in_flight.is_empty() && in_flight.rows == 0);
        count
    }

    #[test]
    fn the_larger_transactions_are_the_fewer_are_worked_on() {
        assert_eq!(taken_in(1), 256);
        assert_eq!(taken_in(1_000), 17);
        assert_eq!(taken_in(10_000), 4);
        assert_eq!(taken_in(65_536), 2);
        assert_eq!(taken_in(1_000_000), 2);
    }
}
