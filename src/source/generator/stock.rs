//! How much of what lies where. Nothing is ever sold that is not there.

use std::collections::BTreeMap;

use super::catalogue::Catalogue;
use super::places::{LOCATIONS, System};
use super::rows::{Envelope, Row, Table};

/// A part of the stock of a product at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    OnHand,
    Reserved,
    Inbound,
    Damaged,
}

impl Bucket {
    fn name(self) -> &'static str {
        match self {
            Bucket::OnHand => "on_hand",
            Bucket::Reserved => "reserved",
            Bucket::Inbound => "inbound",
            Bucket::Damaged => "damaged",
        }
    }
}

/// The stock of all products at all places.
pub struct Stock {
    products: usize,
    /// Units by place, product and bucket.
    units: Vec<[i64; 4]>,
    /// What changed since the last report, when and why.
    touched: BTreeMap<(usize, usize, Bucket), (i64, &'static str)>,
    /// Reports so far, by system.
    reports: [u64; 3],
}

impl Stock {
    /// No stock of so many products.
    pub fn new(products: usize) -> Stock {
        Stock {
            products,
            units: vec![[0; 4]; products * LOCATIONS.len()],
            touched: BTreeMap::new(),
            reports: [0; 3],
        }
    }

    /// Units in a bucket.
    pub fn of(&self, location: usize, product: usize, bucket: Bucket) -> i64 {
        self.units[location * self.products + product][bucket as usize]
    }

    /// Units that can still be promised.
    pub fn available(&self, location: usize, product: usize) -> i64 {
        self.of(location, product, Bucket::OnHand) - self.of(location, product, Bucket::Reserved)
    }

    /// Units that can be promised now or are on their way.
    pub fn position(&self, location: usize, product: usize) -> i64 {
        self.available(location, product) + self.of(location, product, Bucket::Inbound)
    }

    /// Adds units to a bucket (or takes them, if negative).
    pub fn add(
        &mut self,
        place: (usize, usize),
        bucket: Bucket,
        units: i64,
        at_us: i64,
        reason: &'static str,
    ) {
        let (location, product) = place;
        self.units[location * self.products + product][bucket as usize] += units;
        self.touched
            .insert((location, product, bucket), (at_us, reason));
    }

    /// The levels that changed since the last report, each with the place that reports it.
    pub fn report(&mut self, catalogue: &Catalogue) -> Vec<(usize, Row)> {
        let touched = std::mem::take(&mut self.touched);
        let mut rows = Vec::with_capacity(touched.len());
        for ((location, product, bucket), (at_us, reason)) in touched {
            let place = &LOCATIONS[location];
            let number = &mut self.reports[place.system.index()];
            *number += 1;
            let envelope = Envelope {
                system: place.system,
                event_id: format!("stock/{number}"),
                version: *number,
                occurred_us: at_us,
            };
            let units = self.of(location, product, bucket);
            let row = Row::new(Table::InventoryLevels, envelope)
                .with("product_id", catalogue.products[product].id(place.system))
                .with("location_id", place.id)
                .with("bucket", bucket.name())
                .units("quantity", units)
                .with("reason", reason);
            rows.push((location, row));
        }
        rows
    }
}

/// The system whose products lie at a place.
pub fn system_at(location: usize) -> System {
    LOCATIONS[location].system
}
