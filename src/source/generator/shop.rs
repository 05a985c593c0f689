//! The shop itself: goes through its hours and lets happen what is due.

use super::agenda::{Agenda, Happening};
use super::calendar::{DAY_US, Day, HOUR_US, START_US, hours};
use super::catalogue::Catalogue;
use super::delivery::Deliveries;
use super::people::People;
use super::places::{LOCATIONS, PLACES, System, locations_of};
use super::random::Random;
use super::rows::{Envelope, Row, Table};
use super::stock::Stock;

/// Orders a day at scale 1, on average over the first year.
pub const ORDERS_PER_DAY: u64 = 250;
/// Visits without an order for each order of the web shop, in thousandths.
const VISITS_PER_ORDER: u64 = 1_300;
/// Readers of a newsletter at scale 1.
const NEWSLETTER_READERS: u64 = 60;
/// Events in a thousand that are delivered twice.
const REPEATED: u64 = 8;
/// Events of the web shop in a thousand that come hours late.
const LATE_ONLINE: u64 = 4;
/// Reports of the marketplace in a thousand that come an hour late, and many hours late.
const LATE_ABROAD: [u64; 2] = [250, 8];
/// Days in a thousand on which a store's connection is down from the morning on.
const OUTAGES: u64 = 20;

/// The world that events come from.
pub struct Shop {
    pub(super) seed: u64,
    pub(super) scale_thousandths: u64,
    pub(super) random: Random,
    pub(super) agenda: Agenda,
    pub(super) catalogue: Catalogue,
    pub(super) stock: Stock,
    pub(super) people: People,
    pub(super) deliveries: Deliveries,
    /// Orders and refunds so far, by system.
    pub(super) orders: [u64; 3],
    pub(super) refunds: [u64; 3],
    /// Visits to the web shop so far.
    pub(super) visits: u64,
    /// For each place the hour of the history until which its connection is down.
    offline_until: [i64; PLACES],
    /// The hour of the history at hand.
    hour: i64,
}

impl Shop {
    /// The shop before its first hour.
    pub fn new(seed: u64, scale_thousandths: u64) -> Shop {
        let mut random = Random::new(seed, 0);
        let catalogue = Catalogue::new(seed, scale_thousandths);
        let per_day = System::ALL
            .map(|system| ORDERS_PER_DAY * scale_thousandths / 1000 * system.order_share() / 1000);
        let people = People::new(seed, scale_thousandths, per_day, &mut random);
        let mut shop = Shop {
            seed,
            scale_thousandths,
            random,
            agenda: Agenda::default(),
            stock: Stock::new(catalogue.products.len()),
            catalogue,
            people,
            deliveries: Deliveries::default(),
            orders: [0; 3],
            refunds: [0; 3],
            visits: 0,
            offline_until: [0; PLACES],
            hour: 0,
        };
        shop.agenda.plan(START_US, Happening::Dawn(Day(0)));
        shop
    }

    /// What arrives in an hour of the history, counted from its first; hours come in order. At the
    /// end, everything arrives that is still on its way.
    pub fn hour(&mut self, hour: i64, is_end: bool) -> Vec<Row> {
        self.hour = hour;
        if hour == 0 {
            self.open_for_the_first_time();
        }
        let end_us = START_US + (hour + 1) * HOUR_US;
        while let Some((at_us, happening)) = self.agenda.next_before(end_us) {
            let repeat_hours = self.random.chance(REPEATED);
            let repeat_hours = repeat_hours.then(|| self.random.between(1, 48));
            self.deliveries.begin(hour, 0, repeat_hours);
            self.happen(at_us, happening);
        }
        for (location, row) in self.stock.report(&self.catalogue) {
            let offline = self.offline_hours(location);
            self.deliveries.begin(hour, offline, None);
            self.deliveries.send(row);
        }
        self.deliveries.take(hour, is_end)
    }

    fn happen(&mut self, at_us: i64, happening: Happening) {
        match happening {
            Happening::Dawn(day) => self.begin_day(day),
            Happening::Purchase(system) => {
                self.be_late(system);
                match system {
                    System::Tills => self.sell_in_store(at_us),
                    System::Webshop | System::Marketplace => self.sell_online(system, at_us),
                }
            }
            Happening::Visit => self.visit(at_us),
            Happening::Newsletter => self.open_newsletter(at_us),
            Happening::Dispatch(order) => {
                self.be_late(order.system);
                self.dispatch(order, at_us);
            }
            Happening::Payment(order) => self.receive_money(order, at_us),
            Happening::Cancellation(order, reason) => self.cancel(order, reason, at_us),
            Happening::Return(order, lines) => self.take_back(&order, &lines, at_us),
            Happening::Payout(refund) => self.pay_out(*refund, at_us),
            Happening::Review {
                system,
                person,
                order_id,
                product,
            } => self.review(system, person, order_id, product, at_us),
            Happening::Arrival {
                location,
                product,
                units,
            } => self.receive_goods(location, product, units, at_us),
        }
    }

    /// Opens with places, products, prices, first stock, and the accounts there are.
    fn open_for_the_first_time(&mut self) {
        self.deliveries.begin(0, 0, None);
        for location in &LOCATIONS {
            self.deliveries.send(location_row(location));
        }
        for row in self.catalogue.opening_rows() {
            self.deliveries.send(row);
        }
        for person in 0..self.people.count() {
            for system in System::ALL {
                if self.people.account(person, system).is_some() {
                    self.send_account(person, system, START_US);
                }
            }
        }
    }

    /// Plans what a day brings.
    fn begin_day(&mut self, day: Day) {
        let start_us = day.start_us();
        self.agenda
            .plan(start_us + DAY_US, Happening::Dawn(Day(day.0 + 1)));
        for row in self.catalogue.open(day, &mut self.random) {
            self.deliveries.send(row);
        }
        if day == Day(0) {
            self.fill_stock();
        }
        self.order_goods(day);
        self.count_goods(start_us);
        for system in System::ALL {
            let expected = self.expected_orders(day, system);
            // Weather, news and luck.
            let orders = expected * self.random.between(900, 1100).unsigned_abs() / 1000;
            let orders = self.random.rounded(orders);
            self.plan_over_day(day, system, orders, || Happening::Purchase(system));
            if system == System::Webshop {
                let visits = self.random.rounded(orders * VISITS_PER_ORDER);
                self.plan_over_day(day, system, visits, || Happening::Visit);
            }
        }
        if day.weekday() == 3 {
            let readers = NEWSLETTER_READERS * self.scale_thousandths;
            let readers = self.random.rounded(readers);
            self.plan_over_day(day, System::Webshop, readers, || Happening::Newsletter);
        }
        self.lose_connections(day);
    }

    fn plan_over_day(
        &mut self,
        day: Day,
        system: System,
        count: u64,
        happening: impl Fn() -> Happening,
    ) {
        for _ in 0..count {
            let hour = self.random.weighted(hours(system)) as i64;
            let offset_us = hour * HOUR_US + self.random.below(HOUR_US as u64) as i64;
            // Systems write whole milliseconds.
            let at_us = day.start_us() + offset_us / 1000 * 1000;
            self.agenda.plan(at_us, happening());
        }
    }

    /// The orders a system can expect on a day, in thousandths.
    pub(super) fn expected_orders(&self, day: Day, system: System) -> u64 {
        ORDERS_PER_DAY * self.scale_thousandths * day.trade(system) / 1000 * system.order_share()
            / 1000
    }

    fn lose_connections(&mut self, day: Day) {
        for location in locations_of(System::Tills) {
            if self.random.chance(OUTAGES) {
                self.offline_until[location] = i64::from(day.0) * 24 + self.random.between(11, 20);
            }
        }
    }

    /// How many hours later what a place tells arrives.
    pub(super) fn offline_hours(&self, location: usize) -> i64 {
        (self.offline_until[location] - self.hour).max(0)
    }

    /// Draws how late a system tells about the event at hand.
    fn be_late(&mut self, system: System) {
        let hours = match system {
            System::Webshop if self.random.chance(LATE_ONLINE) => self.random.between(1, 30),
            System::Marketplace if self.random.chance(LATE_ABROAD[1]) => self.random.between(6, 48),
            System::Marketplace if self.random.chance(LATE_ABROAD[0]) => 1,
            _ => 0,
        };
        self.deliveries.delay(hours);
    }
}

fn location_row(location: &super::places::Location) -> Row {
    let envelope = Envelope {
        system: location.system,
        event_id: format!("location/{}/1", location.id),
        version: 1,
        occurred_us: START_US,
    };
    let check_digit = super::places::check_digit(location.gln_body);
    Row::new(Table::Locations, envelope)
        .with("location_id", location.id)
        .with("name", location.name)
        .with("location_type", location.location_type)
        .with("gln", format!("{}{check_digit}", location.gln_body))
        .with("country_code", location.country_code)
        .with("region_code", location.region_code)
        .with("city", location.city)
        .with("postal_code", location.postal_code)
        .with("time_zone", location.time_zone)
        .with("fulfils_online", location.fulfils_online)
}
