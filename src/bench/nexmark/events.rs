//! The stream of events: of fifty, one person, three auctions and 46 bids.
//!
//! Most bids go to the newest auctions and come from few bidders. Times follow each other, with
//! some events up to two seconds late.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

use crate::bench::BenchError;
use crate::bench::workload::Transactions;
use crate::model::{Change, ChangeKind, Submission, TableDefinition};

/// 2015-07-15, the time of the first event, in microseconds since the epoch.
const FIRST_US: i64 = 1_436_918_400_000_000;
/// Between two events.
const GAP_US: i64 = 20_000;
/// One event in ten is late, by up to this much.
const LATEST_US: u64 = 2_000_000;
/// Auctions are open for one second up to this much longer.
const OPEN_US: u64 = 20_000_000;
/// The first number of a person and of an auction.
const FIRST_ID: i64 = 1_000;
const FIRST_CATEGORY: i64 = 10;
const CATEGORIES: u64 = 5;

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const FIRST_NAMES: [&str; 11] = [
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
];
const LAST_NAMES: [&str; 9] = [
    "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris",
];
const CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// The events from the first one on.
pub struct Events {
    random: Random,
    tables: Arc<[TableDefinition; 3]>,
    number: i64,
    persons: i64,
    auctions: i64,
}

#[derive(Default)]
struct Persons {
    ids: Vec<i64>,
    names: Vec<String>,
    emails: Vec<String>,
    cards: Vec<String>,
    cities: Vec<&'static str>,
    states: Vec<&'static str>,
    times: Vec<i64>,
    extras: Vec<String>,
}

#[derive(Default)]
struct Auctions {
    ids: Vec<i64>,
    items: Vec<String>,
    descriptions: Vec<String>,
    initial_bids: Vec<i64>,
    reserves: Vec<i64>,
    times: Vec<i64>,
    expiries: Vec<i64>,
    sellers: Vec<i64>,
    categories: Vec<i64>,
    extras: Vec<String>,
}

#[derive(Default)]
struct Bids {
    auctions: Vec<i64>,
    bidders: Vec<i64>,
    prices: Vec<i64>,
    channels: Vec<String>,
    urls: Vec<String>,
    times: Vec<i64>,
    extras: Vec<String>,
}

impl Events {
    /// The stream of a seed, for the tables of persons, auctions and bids.
    pub fn new(seed: u64, tables: Arc<[TableDefinition; 3]>) -> Events {
        Events {
            random: Random(Pcg64::seed_from_u64(seed)),
            tables,
            number: 0,
            persons: 0,
            auctions: 0,
        }
    }

    fn time_us(&mut self) -> i64 {
        let late_us = match self.random.below(10) {
            0 => self.random.below(LATEST_US),
            _ => 0,
        };
        FIRST_US + self.number * GAP_US - late_us as i64
    }

    fn person(&mut self, persons: &mut Persons) {
        let first = self.random.choose(&FIRST_NAMES);
        let last = self.random.choose(&LAST_NAMES);
        persons.ids.push(FIRST_ID + self.persons);
        persons.names.push(format!("{first} {last}"));
        persons.emails.push(format!("{first}@{last}.example"));
        persons.cards.push(self.random.digits(16));
        persons.cities.push(self.random.choose(&CITIES));
        persons.states.push(self.random.choose(&STATES));
        persons.times.push(self.time_us());
        persons.extras.push(self.random.letters(12));
        self.persons += 1;
    }

    fn auction(&mut self, auctions: &mut Auctions) {
        let time_us = self.time_us();
        let initial_bid = self.random.price();
        auctions.ids.push(FIRST_ID + self.auctions);
        auctions.items.push(self.random.letters(10));
        auctions.descriptions.push(self.random.letters(30));
        auctions.initial_bids.push(initial_bid);
        auctions.reserves.push(initial_bid + self.random.price());
        auctions.times.push(time_us);
        let open_us = 1_000_000 + self.random.below(OPEN_US) as i64;
        auctions.expiries.push(time_us + open_us);
        auctions.sellers.push(self.someone());
        let category = FIRST_CATEGORY + self.random.below(CATEGORIES) as i64;
        auctions.categories.push(category);
        auctions.extras.push(self.random.letters(12));
        self.auctions += 1;
    }

    fn bid(&mut self, bids: &mut Bids) {
        let count = self.auctions.max(1) as u64;
        let back = match self.random.below(2) {
            0 => self.random.below(count.min(4)),
            _ => self.random.below(count.min(100)),
        };
        bids.auctions.push(FIRST_ID + (count - 1 - back) as i64);
        bids.bidders.push(self.someone());
        bids.prices.push(self.random.price());
        let path = self.random.letters(3);
        let url = format!("https://auction.example/{path}/{path}a/{path}b/item.htm?query=1");
        let (channel, url) = match self.random.below(4) {
            0 => {
                let channel = self.random.below(10_000);
                let known = self.random.below(5) > 0;
                let tail = known.then(|| format!("&channel_id={channel}"));
                let url = url + &tail.unwrap_or_default();
                (format!("channel-{channel}"), url)
            }
            _ => (self.random.choose(&CHANNELS).to_owned(), url),
        };
        bids.channels.push(channel);
        bids.urls.push(url);
        bids.times.push(self.time_us());
        bids.extras.push(self.random.letters(12));
    }

    /// Somebody who is there: half of the times one of the newest.
    fn someone(&mut self) -> i64 {
        let count = self.persons.max(1) as u64;
        let back = match self.random.below(2) {
            0 => self.random.below(count.min(3)),
            _ => self.random.below(count),
        };
        FIRST_ID + (count - 1 - back) as i64
    }

    fn changes(&mut self, count: usize) -> Result<Vec<Change>, ArrowError> {
        let mut persons = Persons::default();
        let mut auctions = Auctions::default();
        let mut bids = Bids::default();
        for _ in 0..count {
            match self.number % 50 {
                0 => self.person(&mut persons),
                1..=3 => self.auction(&mut auctions),
                _ => self.bid(&mut bids),
            }
            self.number += 1;
        }
        let [person, auction, bid] = self.tables.as_ref();
        let changes = [
            upsert(person, persons.columns())?,
            upsert(auction, auctions.columns())?,
            upsert(bid, bids.columns())?,
        ];
        let changes = changes.into_iter();
        Ok(changes
            .filter(|change| change.rows.num_rows() > 0)
            .collect())
    }
}

impl Transactions for Events {
    fn next(&mut self, lines: usize) -> Result<Option<Submission>, BenchError> {
        let changes = self.changes(lines);
        Ok(Some(Submission {
            changes: changes.map_err(|error| BenchError::Input(error.to_string()))?,
            ..Submission::default()
        }))
    }
}

impl Persons {
    fn columns(self) -> Vec<ArrayRef> {
        vec![
            numbers(self.ids),
            texts(self.names),
            texts(self.emails),
            texts(self.cards),
            texts(self.cities),
            texts(self.states),
            times(self.times),
            texts(self.extras),
        ]
    }
}

impl Auctions {
    fn columns(self) -> Vec<ArrayRef> {
        vec![
            numbers(self.ids),
            texts(self.items),
            texts(self.descriptions),
            numbers(self.initial_bids),
            numbers(self.reserves),
            times(self.times),
            times(self.expiries),
            numbers(self.sellers),
            numbers(self.categories),
            texts(self.extras),
        ]
    }
}

impl Bids {
    fn columns(self) -> Vec<ArrayRef> {
        vec![
            numbers(self.auctions),
            numbers(self.bidders),
            numbers(self.prices),
            texts(self.channels),
            texts(self.urls),
            times(self.times),
            texts(self.extras),
        ]
    }
}

fn numbers(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

fn times(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values))
}

fn texts<T: AsRef<str>>(values: Vec<T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn upsert(table: &TableDefinition, columns: Vec<ArrayRef>) -> Result<Change, ArrowError> {
    Ok(Change {
        table: Arc::from(table.name.as_str()),
        kind: ChangeKind::Upsert,
        rows: RecordBatch::try_new(table.schema(), columns)?,
    })
}

struct Random(Pcg64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn choose(&mut self, names: &[&'static str]) -> &'static str {
        names[self.below(names.len() as u64) as usize]
    }

    /// From a dollar to some millions, in cents; as many of each length.
    fn price(&mut self) -> i64 {
        let length = 10_i64.pow(self.below(6) as u32);
        100 * (length + self.below(9 * length as u64) as i64)
    }

    fn letters(&mut self, count: usize) -> String {
        let letters = (0..count).map(|_| char::from(b'a' + self.below(26) as u8));
        letters.collect()
    }

    fn digits(&mut self, count: usize) -> String {
        let digits = (0..count).map(|_| char::from(b'0' + self.below(10) as u8));
        digits.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bids(seed: u64, sizes: &[usize]) -> Vec<RecordBatch> {
        let workload = crate::bench::nexmark(seed).expect("a workload");
        let mut stream = (workload.transactions)().expect("a stream");
        let bids = sizes.iter().map(|size| {
            let submission = stream.next(*size).expect("events").expect("no end");
            submission.changes[submission.changes.len() - 1]
                .rows
                .clone()
        });
        bids.collect()
    }

    #[test]
    fn a_seed_gives_the_same_events_however_they_are_cut() {
        let whole = bids(7, &[100]);
        let parts = bids(7, &[50, 50]);
        assert_eq!(whole[0].num_rows(), 92);
        assert_eq!(whole[0].slice(46, 46), parts[1]);
        assert_ne!(bids(8, &[100]), whole);
    }
}
