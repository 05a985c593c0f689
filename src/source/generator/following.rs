//! What follows an order: dispatch, payment, cancellation, return, refund.

use super::agenda::Happening;
use super::calendar::{DAY_US, HOUR_US};
use super::order::{Order, Refund, RefundLine};
use super::places::{LOCATIONS, System};
use super::shop::Shop;
use super::stock::Bucket;

/// Lines at the till come back less often than those sent home: in thousandths of the latter.
const RETURNS_IN_STORE: u64 = 450;
/// Dispatched orders in a thousand for which some money is given back without goods.
const GOODWILL: u64 = 6;
/// Dispatched orders in a thousand that are reviewed.
const REVIEWED: u64 = 35;
/// Returned lines in a thousand that can't be sold again.
const DAMAGED: u64 = 120;
/// Refunds in a thousand that wait before they are paid out, and those of them that fail.
const PENDING: u64 = 220;
const FAILED: u64 = 25;
/// Why goods come back.
const REASONS: [&str; 5] = [
    "not as expected",
    "arrived damaged",
    "wrong size",
    "changed their mind",
    "arrived too late",
];

impl Shop {
    /// The goods leave; cards are charged.
    pub(super) fn dispatch(&mut self, mut order: Box<Order>, at_us: i64) {
        for line in &order.lines {
            let place = (order.location, line.product);
            self.stock
                .add(place, Bucket::Reserved, -line.units, at_us, "sale");
            self.stock
                .add(place, Bucket::OnHand, -line.units, at_us, "sale");
        }
        let row = order.row("fulfilled", at_us);
        self.deliveries.send(row);
        let mut has_invoice = false;
        for index in 0..order.payments.len() {
            match (order.payments[index].method, order.payments[index].status) {
                ("invoice", "authorised") => has_invoice = true,
                (_, "authorised") => {
                    let row = order.payment_row(index, "captured", at_us);
                    self.deliveries.send(row);
                }
                _ => {}
            }
        }
        if self.random.chance(REVIEWED) {
            let product = order.lines[self.random.index(order.lines.len())].product;
            let review = Happening::Review {
                system: order.system,
                person: order.customer_id.as_ref().and(order.person),
                order_id: order.id.clone(),
                product,
            };
            let days = self.random.between(3, 20);
            self.agenda.plan(at_us + days * DAY_US, review);
        }
        if has_invoice {
            let at_us = at_us + self.random.between(8, 34) * DAY_US;
            self.agenda.plan(at_us, Happening::Payment(order));
        } else {
            self.plan_return(order, at_us + 2 * DAY_US);
        }
    }

    /// Money comes for a bank transfer or an invoice.
    pub(super) fn receive_money(&mut self, mut order: Box<Order>, at_us: i64) {
        for index in 0..order.payments.len() {
            if matches!(order.payments[index].status, "" | "authorised") {
                let row = order.payment_row(index, "captured", at_us);
                self.deliveries.send(row);
            }
        }
        if order.status == "fulfilled" {
            self.plan_return(order, at_us);
            return;
        }
        let row = order.row("paid", at_us);
        self.deliveries.send(row);
        let hours = self.random.between(6, 40);
        self.agenda
            .plan(at_us + hours * HOUR_US, Happening::Dispatch(order));
    }

    /// An order is called off before it left: its goods are free again, its money goes back.
    pub(super) fn cancel(&mut self, mut order: Box<Order>, reason: &'static str, at_us: i64) {
        for line in &order.lines {
            let place = (order.location, line.product);
            self.stock
                .add(place, Bucket::Reserved, -line.units, at_us, "cancellation");
        }
        let row = order.cancelled_row(at_us, reason);
        self.deliveries.send(row);
        for index in 0..order.payments.len() {
            if order.payments[index].status == "authorised" {
                let row = order.payment_row(index, "voided", at_us);
                self.deliveries.send(row);
            }
        }
        let amount_minor = order.captured_minor();
        if amount_minor > 0 {
            let mut refund = self.new_refund(&order, "order cancelled", at_us);
            refund.amount_minor = amount_minor;
            self.send_refund(refund, "succeeded", at_us);
        }
    }

    /// Plans whether goods of an order come back, not before a moment.
    pub(super) fn plan_return(&mut self, order: Box<Order>, from_us: i64) {
        let factor = match order.system {
            System::Tills => RETURNS_IN_STORE,
            System::Webshop | System::Marketplace => 1000,
        };
        let mut lines = Vec::new();
        for (index, line) in order.lines.iter().enumerate() {
            let department = self.catalogue.products[line.product].department;
            if self.random.chance(department.returns * factor / 1000) {
                lines.push(index);
            }
        }
        let is_goodwill = order.system != System::Tills && self.random.chance(GOODWILL);
        if is_goodwill || !lines.is_empty() {
            let at_us = from_us + self.random.between(2 * 24, 22 * 24) * HOUR_US;
            self.agenda.plan(at_us, Happening::Return(order, lines));
        }
    }

    /// Lines come back; without any, the shop gives something for the trouble.
    pub(super) fn take_back(&mut self, order: &Order, lines: &[usize], at_us: i64) {
        let offline = self.offline_hours(order.location);
        self.deliveries.delay(offline);
        let reason = *self.random.pick(&REASONS);
        let mut refund = self.new_refund(order, reason, at_us);
        refund.lines = self.returned_lines(order, lines, reason);
        let lines_minor: i64 = refund.lines.iter().map(|line| line.amount_minor).sum();
        let is_everything = refund.lines.len() == order.lines.len()
            && order
                .lines
                .iter()
                .zip(&refund.lines)
                .all(|(line, back)| line.units == back.units);
        refund.amount_minor = lines_minor
            + if is_everything {
                order.shipping_minor
            } else {
                0
            };
        if refund.lines.is_empty() {
            refund.reason = "goodwill";
            refund.amount_minor = (order.captured_minor() / 10).min(1_000);
        }
        if refund.amount_minor == 0 {
            return;
        }
        for line in &refund.lines {
            let bucket = match line.is_restocked {
                true => Bucket::OnHand,
                false => Bucket::Damaged,
            };
            let place = (refund.location, line.product);
            self.stock.add(place, bucket, line.units, at_us, "return");
        }
        for row in refund.line_rows(&self.catalogue) {
            self.deliveries.send(row);
        }
        let is_pending = order.system == System::Webshop && self.random.chance(PENDING);
        self.send_refund(
            refund,
            if is_pending { "pending" } else { "succeeded" },
            at_us,
        );
    }

    /// What is refunded for the lines that come back, and how much of them does.
    fn returned_lines(&mut self, order: &Order, lines: &[usize], reason: &str) -> Vec<RefundLine> {
        let lines_minor = order.lines_minor().max(1);
        let returned = lines.iter().map(|index| {
            let line = &order.lines[*index];
            let units = match self.random.chance(700) {
                true => line.units,
                false => self.random.between(1, line.units),
            };
            // The line's part of the discount on the whole order was never paid, rounded up.
            let shared_minor =
                (order.discount_minor * line.total_minor() + lines_minor - 1) / lines_minor;
            let paid_minor = line.total_minor() - shared_minor;
            let is_damaged = reason == "arrived damaged" || self.random.chance(DAMAGED);
            RefundLine {
                line: *index,
                product: line.product,
                units,
                amount_minor: paid_minor * units / line.units,
                is_restocked: !is_damaged,
            }
        });
        returned.collect()
    }

    fn new_refund(&mut self, order: &Order, reason: &'static str, at_us: i64) -> Refund {
        self.refunds[order.system.index()] += 1;
        let number = self.refunds[order.system.index()];
        Refund {
            system: order.system,
            id: format!("R{}-{number:06}", LOCATIONS[order.location].country_code),
            order_id: order.id.clone(),
            reason,
            amount_minor: 0,
            at_us,
            version: 0,
            lines: Vec::new(),
            location: order.location,
        }
    }

    fn send_refund(&mut self, mut refund: Refund, status: &'static str, at_us: i64) {
        let row = refund.row(status, at_us);
        self.deliveries.send(row);
        if status == "pending" {
            let at_us = at_us + self.random.between(12, 96) * HOUR_US;
            self.agenda.plan(at_us, Happening::Payout(Box::new(refund)));
        }
    }

    /// A refund that waited is paid out, or can't be.
    pub(super) fn pay_out(&mut self, mut refund: Refund, at_us: i64) {
        let status = match self.random.chance(FAILED) {
            true => "failed",
            false => "succeeded",
        };
        let row = refund.row(status, at_us);
        self.deliveries.send(row);
    }
}
