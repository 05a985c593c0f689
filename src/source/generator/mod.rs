//! Generates the events of a shop that sells on the web, in stores and on a marketplace.
//!
//! The same seed, scale and days give the same events on every machine: all draws are whole
//! numbers from one defined stream ([`random`]), and nothing depends on clocks, hashing or threads.
//! [`shop`] goes through the hours of the history; what happens in them is in [`selling`],
//! [`following`], [`browsing`] and [`restocking`]; [`delivery`] has some of it arrive late or twice.
//! `docs/generator.md` says what is modelled and in which proportions.

mod accounts;
mod agenda;
mod assortment;
mod browsing;
mod calendar;
mod catalogue;
mod delivery;
mod following;
mod names;
mod order;
mod people;
mod places;
pub mod random;
mod restocking;
mod rows;
mod selling;
mod shop;
mod stock;

#[cfg(test)]
mod tests;

use arrow::error::ArrowError;

use super::error::SourceError;
use super::{Progress, Source};
use crate::model::Submission;
use calendar::{HOUR_US, START_US};
use rows::Batches;
use shop::Shop;

/// The name of the generator as a source; its rows bear the names of the shop's systems.
const NAME: &str = "generator";
/// Longest history: some shops' calendars end early.
const DAYS_MAX: u32 = 3_660;
/// Largest scale, in thousandths: a quarter of a million orders a day.
const SCALE_MAX_THOUSANDTHS: u64 = 1_000_000;

/// Which history is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneratorOptions {
    /// Chooses one of many histories.
    pub seed: u64,
    /// How large the shop is, in thousandths: 1000 is about 250 orders a day.
    pub scale_thousandths: u64,
    /// How many days the history has, from 2025-01-01 on. A shorter history is the beginning of a
    /// longer one.
    pub days: u32,
    /// How many hours of the history are one transaction: 1 to 24, a divisor of 24.
    pub hours_per_transaction: u32,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        GeneratorOptions {
            seed: 42,
            scale_thousandths: 1000,
            days: 365,
            hours_per_transaction: 24,
        }
    }
}

/// A generated history as a source: one submission for each day (or fewer hours) in which anything
/// arrives, on the clock of the events.
pub struct Generator {
    options: GeneratorOptions,
    shop: Shop,
    batches: Batches,
    next_hour: u64,
    rows_done: u64,
}

impl Generator {
    /// The history from its beginning, or from where an earlier run came to.
    ///
    /// # Errors
    /// If the options are out of their ranges, or the position is that of another history.
    pub fn open(
        options: GeneratorOptions,
        position: Option<&str>,
    ) -> Result<Generator, SourceError> {
        if let Some(problem) = options.problem() {
            return Err(SourceError::Options {
                name: NAME.to_owned(),
                problem,
            });
        }
        let mut generator = Generator {
            options,
            shop: Shop::new(options.seed, options.scale_thousandths),
            batches: Batches::new().map_err(failed)?,
            next_hour: 0,
            rows_done: 0,
        };
        if let Some(position) = position {
            let hours = options
                .hours_of(position)
                .ok_or_else(|| SourceError::Position {
                    name: NAME.to_owned(),
                    problem: format!(
                        "`{position}` is no position in the history with {}",
                        options.text()
                    ),
                })?;
            // What was handed out before is made again and left out.
            while generator.next_hour < hours {
                generator.hour();
            }
        }
        Ok(generator)
    }

    /// The rows of the next hour.
    fn hour(&mut self) -> Vec<rows::Row> {
        let hour = self.next_hour;
        self.next_hour += 1;
        let is_end = self.next_hour == self.options.hours();
        self.shop.hour(hour as i64, is_end)
    }

    /// What arrives in the hours of the next transaction; `None` if nothing does.
    fn transaction(&mut self) -> Result<Option<Submission>, ArrowError> {
        let rows_before = self.rows_done;
        for _ in 0..self.options.hours_per_transaction {
            for row in self.hour() {
                self.rows_done += 1;
                self.batches.push(row)?;
            }
        }
        if self.rows_done == rows_before {
            return Ok(None);
        }
        let end_us = START_US + self.next_hour as i64 * HOUR_US;
        Ok(Some(Submission {
            changes: self.batches.finish()?,
            timestamp_ms: u64::try_from(end_us / 1000).ok(),
            position: Some((NAME.to_owned(), self.options.position(self.next_hour))),
        }))
    }
}

impl Source for Generator {
    fn name(&self) -> &str {
        NAME
    }

    fn next(&mut self) -> Result<Option<Submission>, SourceError> {
        while self.next_hour < self.options.hours() {
            if let Some(submission) = self.transaction().map_err(failed)? {
                return Ok(Some(submission));
            }
        }
        Ok(None)
    }

    fn progress(&self) -> Progress {
        Progress {
            work_done: self.next_hour,
            work_total: self.options.hours(),
            rows_done: self.rows_done,
            ..Progress::default()
        }
    }
}

impl GeneratorOptions {
    fn hours(&self) -> u64 {
        24 * u64::from(self.days)
    }

    fn problem(&self) -> Option<String> {
        if !(1..=SCALE_MAX_THOUSANDTHS).contains(&self.scale_thousandths) {
            return Some("the scale must be from 0.001 to 1000".to_owned());
        }
        if !(1..=DAYS_MAX).contains(&self.days) {
            return Some(format!("the days must be from 1 to {DAYS_MAX}"));
        }
        let hours = self.hours_per_transaction;
        if !(1..=24).contains(&hours) || !24_u32.is_multiple_of(hours) {
            return Some("a transaction must have a divisor of 24 as its hours".to_owned());
        }
        None
    }

    fn text(&self) -> String {
        let GeneratorOptions {
            seed,
            scale_thousandths,
            days,
            hours_per_transaction,
        } = self;
        format!(
            "seed {seed}, scale {scale_thousandths}/1000, {days} days by {hours_per_transaction} hours"
        )
    }

    /// The position behind so many hours.
    fn position(&self, hours: u64) -> String {
        format!("{}: {hours} hours", self.text())
    }

    fn hours_of(&self, position: &str) -> Option<u64> {
        let hours = position.strip_prefix(&self.text())?.strip_prefix(": ")?;
        let hours: u64 = hours.strip_suffix(" hours")?.parse().ok()?;
        (hours <= self.hours()).then_some(hours)
    }
}

fn failed(error: ArrowError) -> SourceError {
    SourceError::Rows {
        name: NAME.to_owned(),
        problem: error.to_string(),
    }
}
