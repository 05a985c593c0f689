//! Goods are ordered, moved and counted.
//!
//! Places order by what the season of today lets expect. Peaks, promotions and late suppliers are
//! not foreseen: that is where stockouts come from.

use super::agenda::Happening;
use super::calendar::{DAY_US, Day, HOUR_US, START_US};
use super::places::{LOCATIONS, System};
use super::shop::Shop;
use super::stock::{Bucket, system_at};

/// When a place orders and how much: days of sales that are left, days of sales to have then, and
/// units to have at least.
struct Policy {
    reorder_days: u64,
    target_days: u64,
    least_units: i64,
}

const WAREHOUSES: Policy = Policy {
    reorder_days: 14,
    target_days: 40,
    least_units: 6,
};
const STORES: Policy = Policy {
    reorder_days: 4,
    target_days: 12,
    least_units: 2,
};
const CENTRE: Policy = Policy {
    reorder_days: 7,
    target_days: 21,
    least_units: 3,
};

/// Suppliers deliver whole cartons of so many units.
const CARTON: i64 = 6;
/// Deliveries of suppliers in a thousand that are weeks late.
const LATE_SUPPLIERS: u64 = 60;
/// Levels that are counted each night, one in so many, and finds and losses among them in a
/// thousand.
const COUNTED: u64 = 60;
const MISCOUNTED: u64 = 120;

fn policy(location: usize) -> Policy {
    match (system_at(location), LOCATIONS[location].supplier) {
        (_, None) => WAREHOUSES,
        (System::Marketplace, _) => CENTRE,
        _ => STORES,
    }
}

impl Shop {
    /// Puts first stock everywhere.
    pub(super) fn fill_stock(&mut self) {
        let orders = self.orders_of_week(Day(0));
        for location in 0..LOCATIONS.len() {
            for product in 0..self.catalogue.products.len() {
                let (_, target) = self.levels(&orders, location, product);
                if target > 0 {
                    let place = (location, product);
                    self.stock
                        .add(place, Bucket::OnHand, target, START_US, "count");
                }
            }
        }
    }

    /// Every place orders what runs low.
    pub(super) fn order_goods(&mut self, day: Day) {
        let orders = self.orders_of_week(day);
        // Places that are supplied by warehouses come first, so that warehouses see what they lack.
        for location in (0..LOCATIONS.len()).rev() {
            for product in 0..self.catalogue.products.len() {
                let (reorder, target) = self.levels(&orders, location, product);
                let position = self.stock.position(location, product);
                if position < reorder {
                    self.order_units(day, location, product, target - position);
                }
            }
        }
    }

    fn order_units(&mut self, day: Day, location: usize, product: usize, wanted: i64) {
        let at_us = day.start_us();
        let (units, days) = match LOCATIONS[location].supplier {
            Some(warehouse) => {
                let units = wanted.min(self.stock.available(warehouse, product));
                if units <= 0 {
                    return;
                }
                let place = (warehouse, product);
                self.stock
                    .add(place, Bucket::OnHand, -units, at_us, "transfer");
                (units, self.random.between(1, 3))
            }
            None => {
                let days = match self.random.chance(LATE_SUPPLIERS) {
                    true => self.random.between(20, 36),
                    false => self.random.between(6, 13),
                };
                ((wanted + CARTON - 1) / CARTON * CARTON, days)
            }
        };
        let place = (location, product);
        self.stock
            .add(place, Bucket::Inbound, units, at_us, "transfer");
        let hour = self.random.between(6, 9);
        let arrival = Happening::Arrival {
            location,
            product,
            units,
        };
        self.agenda
            .plan(at_us + days * DAY_US + hour * HOUR_US, arrival);
    }

    /// Ordered goods are there.
    pub(super) fn receive_goods(
        &mut self,
        location: usize,
        product: usize,
        units: i64,
        at_us: i64,
    ) {
        let place = (location, product);
        self.stock
            .add(place, Bucket::Inbound, -units, at_us, "receipt");
        self.stock
            .add(place, Bucket::OnHand, units, at_us, "receipt");
    }

    /// Counts some of the stock; now and then there is less than was thought.
    pub(super) fn count_goods(&mut self, at_us: i64) {
        for location in 0..LOCATIONS.len() {
            for product in 0..self.catalogue.products.len() {
                if self.random.below(COUNTED) > 0 || !self.random.chance(MISCOUNTED) {
                    continue;
                }
                if self.stock.available(location, product) > 0 {
                    let place = (location, product);
                    self.stock.add(place, Bucket::OnHand, -1, at_us, "count");
                }
            }
        }
    }

    /// At which stock a place orders a product, and how much it wants to have then.
    fn levels(&self, orders: &[u64; 3], location: usize, product: usize) -> (i64, i64) {
        let daily = self.expected_units(orders, location, product);
        if daily == 0 {
            return (0, 0);
        }
        let policy = policy(location);
        let units = |days: u64| policy.least_units + (daily * days / 1000) as i64;
        (units(policy.reorder_days), units(policy.target_days))
    }

    /// Units of a product that leave a place on an average day, in thousandths; those that it
    /// sends to other places among them.
    fn expected_units(&self, orders: &[u64; 3], location: usize, product: usize) -> u64 {
        let own = self.expected_sales(orders, location, product);
        let supplied = (0..LOCATIONS.len())
            .filter(|other| LOCATIONS[*other].supplier == Some(location))
            .map(|other| self.expected_sales(orders, other, product));
        own + supplied.sum::<u64>()
    }

    fn expected_sales(&self, orders: &[u64; 3], location: usize, product: usize) -> u64 {
        let system = system_at(location);
        let demand = self.catalogue.demand(system);
        let orders = orders[system.index()];
        let units = orders * system.units_per_order() / 1000 * LOCATIONS[location].share_percent;
        units * demand.of(product) / demand.total().max(1) / 100
    }

    /// The orders of each system on the average day of a week, in thousandths: stores are closed
    /// on Sundays and order goods all the same.
    fn orders_of_week(&self, day: Day) -> [u64; 3] {
        System::ALL.map(|system| {
            let days = (0..7).map(|ahead| Day(day.0 + ahead));
            days.map(|day| self.expected_orders(day, system))
                .sum::<u64>()
                / 7
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::generator::places::locations_of;

    #[test]
    fn suppliers_are_warehouses_before_what_they_supply() {
        for (index, location) in LOCATIONS.iter().enumerate() {
            assert!(location.supplier.is_none_or(|supplier| supplier < index));
        }
        assert_eq!(locations_of(System::Webshop).collect::<Vec<_>>(), [0, 1]);
    }
}
