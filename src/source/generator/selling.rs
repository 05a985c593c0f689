//! Purchases: who buys what, in the web shop, on the marketplace and in the stores.

use super::accounts::Buyer;
use super::agenda::Happening;
use super::calendar::{DAY_US, HOUR_US, SECOND_US};
use super::order::{Line, Order, Payment};
use super::places::{LOCATIONS, MARKETPLACE_CENTRE, System, locations_of, warehouses_for};
use super::shop::Shop;
use super::stock::Bucket;

/// Lines of an order, from one, as weights.
const LINES: [[u32; 8]; 3] = [
    [36, 26, 16, 9, 6, 4, 2, 1],
    [46, 27, 14, 7, 4, 2, 0, 0],
    [78, 16, 4, 2, 0, 0, 0, 0],
];
/// Units of a line and their weights.
const UNITS: [i64; 6] = [1, 2, 3, 4, 6, 12];
const UNITS_WEIGHTS: [u32; 6] = [790, 130, 25, 30, 20, 5];
/// In a thousand orders of the web shop: placed by guests, in the app, with a coupon.
const GUESTS: u64 = 190;
const APP: u64 = 260;
const COUPONS: u64 = 80;
/// Till sales in a thousand without a loyalty card.
const ANONYMOUS: u64 = 540;
/// Lines in a thousand with a discount at the till.
const TILL_DISCOUNTS: u64 = 50;
/// Orders of the web shop in a hundred thousand that only try it out.
const TRIALS: u64 = 60;
/// Orders from here on are delivered free of charge, in minor units.
const FREE_DELIVERY_MINOR: i64 = 5_000;
/// Orders in a thousand that are called off before they leave.
const CANCELLED: u64 = 30;
/// Bank transfers in a thousand that never come.
const NEVER_PAID: u64 = 120;

impl Shop {
    /// Somebody buys in the web shop or on the marketplace.
    pub(super) fn sell_online(&mut self, system: System, at_us: i64) {
        let is_guest = system == System::Webshop && self.random.chance(GUESTS);
        let buyer = self.buyer(system, at_us, !is_guest);
        let country = buyer.person.country;
        let choice = self.choose(system);
        let places = match system {
            System::Webshop => warehouses_for(country.code),
            _ => [MARKETPLACE_CENTRE; 2],
        };
        let Some((location, lines)) = self.fill_cart(system, &choice, &places) else {
            // Nothing of it is there: the buyer leaves.
            return;
        };
        let channel = match system {
            System::Marketplace => "marketplace",
            _ if self.random.chance(APP) => "app",
            _ => "web",
        };
        let is_test = system == System::Webshop && self.random.below(100_000) < TRIALS;
        let mut order = self.new_order(system, location, channel, at_us, lines);
        order.person = Some(buyer.number);
        order.customer_id = buyer.customer_id;
        order.email = Some(buyer.email);
        order.phone = buyer.phone;
        let (_, region, postal_code) = buyer.person.town;
        order.ship_to = (country.code, region, postal_code);
        order.is_test = is_test;
        if system == System::Webshop && self.random.chance(COUPONS) {
            order.coupon = Some("WELCOME10");
            order.discount_minor = order.lines_minor() / 10;
        }
        order.shipping_minor = match (system, order.lines_minor() >= FREE_DELIVERY_MINOR) {
            (System::Webshop, false) => 495,
            (System::Webshop, true) if self.random.chance(70) => 995,
            (System::Marketplace, false) => 299,
            _ => 0,
        };
        self.browse_to_order(&order, &buyer.person.cookie, at_us);
        self.place(order, at_us);
    }

    /// Somebody buys in a store.
    pub(super) fn sell_in_store(&mut self, at_us: i64) {
        let stores: Vec<usize> = locations_of(System::Tills).collect();
        let shares: Vec<u32> = stores
            .iter()
            .map(|store| LOCATIONS[*store].share_percent as u32)
            .collect();
        let location = stores[self.random.weighted(&shares)];
        let offline = self.offline_hours(location);
        self.deliveries.delay(offline);
        let is_known = !self.random.chance(ANONYMOUS);
        let buyer: Option<Buyer> = is_known.then(|| self.buyer(System::Tills, at_us, true));
        let choice = self.choose(System::Tills);
        let Some((location, mut lines)) = self.fill_cart(System::Tills, &choice, &[location])
        else {
            return;
        };
        for line in &mut lines {
            if self.random.chance(TILL_DISCOUNTS) {
                let percent = 10 * self.random.between(1, 3);
                line.discount_minor = line.units * line.unit_price_minor * percent / 100;
            }
        }
        let mut order = self.new_order(System::Tills, location, "pos", at_us, lines);
        if let Some(buyer) = buyer {
            order.person = Some(buyer.number);
            order.customer_id = buyer.customer_id;
        }
        let place = &LOCATIONS[location];
        order.ship_to = (place.country_code, place.region_code, place.postal_code);
        let method = ["card", "cash", "gift_card"][self.random.weighted(&[66, 32, 2])];
        let provider = (method == "card").then_some("terminal");
        order
            .payments
            .push(payment(method, provider, order.total_minor()));
        for line in &order.lines {
            self.stock.add(
                (location, line.product),
                Bucket::OnHand,
                -line.units,
                at_us,
                "sale",
            );
        }
        let row = order.row("closed", at_us);
        self.deliveries.send(row);
        let row = order.payment_row(0, "captured", at_us);
        self.deliveries.send(row);
        self.send_lines(&order);
        self.plan_return(Box::new(order), at_us + DAY_US);
    }

    /// What the buyer would like: products and units.
    fn choose(&mut self, system: System) -> Vec<(usize, i64)> {
        let count = 1 + self.random.weighted(&LINES[system.index()]);
        let mut choice: Vec<(usize, i64)> = Vec::with_capacity(count);
        for _ in 0..count {
            let product = self.catalogue.demand(system).draw(&mut self.random);
            let units = UNITS[self.random.weighted(&UNITS_WEIGHTS)];
            if choice.iter().all(|(other, _)| *other != product) {
                choice.push((product, units));
            }
        }
        choice
    }

    /// What of the choice is there, at the first of the places that has most of it; nothing if
    /// none has any.
    fn fill_cart(
        &self,
        system: System,
        choice: &[(usize, i64)],
        places: &[usize],
    ) -> Option<(usize, Vec<Line>)> {
        let mut best: Option<(usize, Vec<Line>)> = None;
        for place in places {
            let there = choice.iter().filter_map(|(product, units)| {
                let units = self.stock.available(*place, *product).min(*units);
                (units > 0).then(|| Line {
                    product: *product,
                    units,
                    unit_price_minor: self.catalogue.products[*product].price_minor(system),
                    discount_minor: 0,
                })
            });
            let lines: Vec<Line> = there.collect();
            let is_better = best
                .as_ref()
                .is_none_or(|(_, best)| lines.len() > best.len());
            if !lines.is_empty() && is_better {
                best = Some((*place, lines));
            }
        }
        best
    }

    fn new_order(
        &mut self,
        system: System,
        location: usize,
        channel: &'static str,
        at_us: i64,
        lines: Vec<Line>,
    ) -> Order {
        self.orders[system.index()] += 1;
        let number = self.orders[system.index()];
        let (id, number) = match system {
            System::Webshop => (format!("W{:07}", number), format!("#{}", 1000 + number)),
            System::Tills => {
                let id = format!("{}-{number:07}", LOCATIONS[location].id);
                (id.clone(), id)
            }
            System::Marketplace => {
                let id = format!("203-{number:07}-{:07}", number * 7_919 % 10_000_000);
                (id.clone(), id)
            }
        };
        Order {
            system,
            id,
            number,
            channel,
            person: None,
            customer_id: None,
            location,
            placed_us: at_us,
            email: None,
            phone: None,
            ship_to: ("", "", ""),
            lines,
            discount_minor: 0,
            shipping_minor: 0,
            coupon: None,
            is_test: false,
            payments: Vec::new(),
            status: "",
            version: 0,
        }
    }

    /// Places an online order: reserves its goods, begins its payment, plans what follows.
    fn place(&mut self, mut order: Order, at_us: i64) {
        if order.is_test {
            let row = order.row("placed", at_us);
            self.deliveries.send(row);
            self.send_lines(&order);
            return;
        }
        for line in &order.lines {
            let place = (order.location, line.product);
            self.stock
                .add(place, Bucket::Reserved, line.units, at_us, "reservation");
        }
        let is_paid = self.begin_payment(&mut order, at_us);
        let row = order.row(if is_paid { "paid" } else { "placed" }, at_us);
        self.deliveries.send(row);
        self.send_lines(&order);
        let is_unpaid = order.payments.iter().any(|payment| payment.version == 0);
        let order = Box::new(order);
        let hours = |random: &mut super::random::Random, low, high| {
            random.between(low * HOUR_US, high * HOUR_US) / 1000 * 1000
        };
        if is_unpaid && self.random.chance(NEVER_PAID) {
            let at_us = at_us + 10 * DAY_US;
            self.agenda.plan(
                at_us,
                Happening::Cancellation(order, "payment did not come"),
            );
        } else if is_unpaid {
            let at_us = at_us + hours(&mut self.random, 18, 72);
            self.agenda.plan(at_us, Happening::Payment(order));
        } else if self.random.chance(CANCELLED) {
            let reasons = [
                "changed their mind",
                "ordered by mistake",
                "suspected fraud",
            ];
            let reason = reasons[self.random.weighted(&[60, 32, 8])];
            let at_us = at_us + hours(&mut self.random, 1, 8);
            self.agenda
                .plan(at_us, Happening::Cancellation(order, reason));
        } else {
            let at_us = at_us + hours(&mut self.random, 8, 56);
            self.agenda.plan(at_us, Happening::Dispatch(order));
        }
    }

    /// Draws how an order is paid and sends its first payment rows; whether all money has come.
    fn begin_payment(&mut self, order: &mut Order, at_us: i64) -> bool {
        let mut owed_minor = order.total_minor();
        if order.system == System::Marketplace {
            order.payments = vec![payment("wallet", Some("marketplace-pay"), owed_minor)];
            let row = order.payment_row(0, "captured", at_us);
            self.deliveries.send(row);
            return true;
        }
        if self.random.chance(40) {
            let card_minor = owed_minor.min(1_000 * self.random.between(1, 5));
            order.payments.push(payment("gift_card", None, card_minor));
            owed_minor -= card_minor;
            let row = order.payment_row(0, "captured", at_us);
            self.deliveries.send(row);
        }
        if owed_minor == 0 {
            return true;
        }
        let method = self.random.weighted(&[44, 36, 13, 7]);
        let (method, provider) = [
            ("card", Some("stripe")),
            ("wallet", Some("paypal")),
            ("invoice", Some("klarna")),
            ("bank_transfer", None),
        ][method];
        if method == "card" && self.random.chance(30) {
            order.payments.push(payment(method, provider, owed_minor));
            let failed = order.payments.len() - 1;
            let row = order.payment_row(failed, "failed", at_us - 40 * SECOND_US);
            self.deliveries.send(row);
        }
        order.payments.push(payment(method, provider, owed_minor));
        let last = order.payments.len() - 1;
        let status = match method {
            "wallet" => "captured",
            "bank_transfer" => return false,
            _ => "authorised",
        };
        let row = order.payment_row(last, status, at_us);
        self.deliveries.send(row);
        status == "captured"
    }

    fn send_lines(&mut self, order: &Order) {
        for row in order.line_rows(&self.catalogue) {
            self.deliveries.send(row);
        }
    }
}

fn payment(method: &'static str, provider: Option<&'static str>, amount_minor: i64) -> Payment {
    Payment {
        method,
        provider,
        amount_minor,
        status: "",
        captured_us: None,
        version: 0,
    }
}
