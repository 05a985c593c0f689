//! How rows reach the engine: most at once, some late, some twice.

use std::collections::BTreeMap;

use super::rows::Row;

/// Rows on their way, by the hour of the history in which they arrive.
#[derive(Default)]
pub struct Deliveries {
    arriving: Vec<Row>,
    later: BTreeMap<i64, Vec<Row>>,
    hour: i64,
    delay_hours: i64,
    repeat_hours: Option<i64>,
}

impl Deliveries {
    /// Begins what one event brings about: its rows arrive so many hours late, and once more so
    /// many hours behind that.
    pub fn begin(&mut self, hour: i64, delay_hours: i64, repeat_hours: Option<i64>) {
        self.hour = hour;
        self.delay_hours = delay_hours;
        self.repeat_hours = repeat_hours;
    }

    /// Has the rows of the event at hand arrive at least so many hours late.
    pub fn delay(&mut self, hours: i64) {
        self.delay_hours = self.delay_hours.max(hours);
    }

    /// Sends a row.
    pub fn send(&mut self, row: Row) {
        if let Some(hours) = self.repeat_hours {
            let hour = self.hour + self.delay_hours + hours;
            self.later.entry(hour).or_default().push(row.clone());
        }
        match self.delay_hours {
            0 => self.arriving.push(row),
            hours => self.later.entry(self.hour + hours).or_default().push(row),
        }
    }

    /// What arrives within an hour of the history, or (at its end) everything that is left.
    pub fn take(&mut self, hour: i64, is_end: bool) -> Vec<Row> {
        let mut rows = std::mem::take(&mut self.arriving);
        while let Some(due) = self.later.first_entry()
            && (is_end || *due.key() <= hour)
        {
            rows.extend(due.remove());
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::generator::places::System;
    use crate::source::generator::rows::{Envelope, Table};

    fn row() -> Row {
        let envelope = Envelope {
            system: System::Tills,
            event_id: String::new(),
            version: 1,
            occurred_us: 0,
        };
        Row::new(Table::Orders, envelope)
    }

    #[test]
    fn rows_arrive_late_and_twice() {
        let mut deliveries = Deliveries::default();
        deliveries.begin(5, 0, Some(2));
        deliveries.send(row());
        deliveries.begin(5, 1, None);
        deliveries.send(row());
        deliveries.begin(5, 0, None);
        deliveries.delay(9);
        deliveries.send(row());
        let counts: Vec<usize> = (5..9)
            .map(|hour| deliveries.take(hour, hour == 8).len())
            .collect();
        assert_eq!(counts, [1, 1, 1, 1]);
    }
}
