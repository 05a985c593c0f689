//! An order with its lines and payments, and the rows that tell about them.

use super::catalogue::Catalogue;
use super::places::{LOCATIONS, System, tax_percent};
use super::rows::{Envelope, Row, Table};

/// An order on its way from the cart to the customer's door.
#[derive(Debug)]
pub struct Order {
    /// Where it was placed.
    pub system: System,
    /// The system's id.
    pub id: String,
    /// The number people use.
    pub number: String,
    /// web, app, pos or marketplace.
    pub channel: &'static str,
    /// Who placed it, where anybody knows.
    pub person: Option<u32>,
    /// The account it was placed with; guests have none.
    pub customer_id: Option<String>,
    /// The place that sells or sends the goods.
    pub location: usize,
    /// When it was placed, in microseconds since the epoch.
    pub placed_us: i64,
    /// E-mail address given with it.
    pub email: Option<String>,
    /// Telephone number given with it.
    pub phone: Option<String>,
    /// Country, region and postal code of delivery, or of the store.
    pub ship_to: (&'static str, &'static str, &'static str),
    /// What was bought.
    pub lines: Vec<Line>,
    /// Discount on the whole order.
    pub discount_minor: i64,
    /// Shipping charged.
    pub shipping_minor: i64,
    /// The coupon that gave the discount.
    pub coupon: Option<&'static str>,
    /// Whether somebody only tried the shop out.
    pub is_test: bool,
    /// How it is paid.
    pub payments: Vec<Payment>,
    /// Where it stands.
    pub status: &'static str,
    /// Its version, from 1.
    pub version: u64,
}

/// A line of an order.
#[derive(Debug)]
pub struct Line {
    /// The product's position in the catalogue.
    pub product: usize,
    /// Units bought.
    pub units: i64,
    /// Price of one.
    pub unit_price_minor: i64,
    /// Discount on the line.
    pub discount_minor: i64,
}

impl Line {
    /// What the line costs.
    pub fn total_minor(&self) -> i64 {
        self.units * self.unit_price_minor - self.discount_minor
    }
}

/// A payment.
#[derive(Debug)]
pub struct Payment {
    /// How.
    pub method: &'static str,
    /// Through whom.
    pub provider: Option<&'static str>,
    /// How much.
    pub amount_minor: i64,
    /// authorised, captured, failed or voided.
    pub status: &'static str,
    /// When the money came.
    pub captured_us: Option<i64>,
    /// Its version; 0 as long as nobody has been told.
    pub version: u64,
}

impl Order {
    /// The sum of the lines.
    pub fn lines_minor(&self) -> i64 {
        self.lines.iter().map(Line::total_minor).sum()
    }

    /// What the customer owes in all.
    pub fn total_minor(&self) -> i64 {
        self.lines_minor() + self.shipping_minor - self.discount_minor
    }

    /// What has been paid.
    pub fn captured_minor(&self) -> i64 {
        let captured = self.payments.iter().filter(|p| p.captured_us.is_some());
        captured.map(|payment| payment.amount_minor).sum()
    }

    /// The taxes contained in an amount, rounded half away from zero.
    fn tax_minor(&self, amount_minor: i64) -> i64 {
        let percent = tax_percent(self.ship_to.0);
        (2 * amount_minor * percent + 100 + percent) / (2 * (100 + percent))
    }

    /// Its next version in a status.
    pub fn row(&mut self, status: &'static str, at_us: i64) -> Row {
        self.next_row(status, at_us, None)
    }

    /// Its last version, cancelled.
    pub fn cancelled_row(&mut self, at_us: i64, reason: &'static str) -> Row {
        self.next_row("cancelled", at_us, Some(reason))
    }

    fn next_row(
        &mut self,
        status: &'static str,
        at_us: i64,
        cancel_reason: Option<&'static str>,
    ) -> Row {
        self.version += 1;
        self.status = status;
        let envelope = Envelope {
            system: self.system,
            event_id: format!("order/{}/{}", self.id, self.version),
            version: self.version,
            occurred_us: at_us,
        };
        let row = Row::new(Table::Orders, envelope)
            .with("order_id", &self.id)
            .with("order_number", &self.number)
            .with("customer_id", self.customer_id.clone())
            .with("channel", self.channel)
            .with("location_id", LOCATIONS[self.location].id)
            .time("placed_at", self.placed_us)
            .with("status", status);
        let row = match cancel_reason {
            Some(reason) => row
                .time("cancelled_at", at_us)
                .with("cancel_reason", reason),
            None => row,
        };
        let line_taxes: i64 = self
            .lines
            .iter()
            .map(|l| self.tax_minor(l.total_minor()))
            .sum();
        let other_taxes = self.tax_minor(self.shipping_minor) - self.tax_minor(self.discount_minor);
        row.with("currency", self.system.currency())
            .with("discount_minor", self.discount_minor)
            .with("shipping_minor", self.shipping_minor)
            .with("tax_minor", line_taxes + other_taxes)
            .with("total_minor", self.total_minor())
            .with("coupon_code", self.coupon)
            .with("email", self.email.clone())
            .with("phone", self.phone.clone())
            .with("ship_to_country_code", self.ship_to.0)
            .with("ship_to_region_code", self.ship_to.1)
            .with("ship_to_postal_code", self.ship_to.2)
            .with("is_test", self.is_test)
    }

    /// The rows of its lines.
    pub fn line_rows(&self, catalogue: &Catalogue) -> Vec<Row> {
        let row = |(index, line): (usize, &Line)| {
            let product = &catalogue.products[line.product];
            let number = index + 1;
            let envelope = Envelope {
                system: self.system,
                event_id: format!("order/{}/line/{number}", self.id),
                version: 1,
                occurred_us: self.placed_us,
            };
            Row::new(Table::OrderLines, envelope)
                .with("order_id", &self.id)
                .with("line_id", format!("{number}"))
                .with("line_type", "product")
                .with("product_id", product.id(self.system))
                .with("sku", &product.sku)
                .with("title", &product.title)
                .units("quantity", line.units)
                .unit_price("unit_price", line.unit_price_minor)
                .with("currency", self.system.currency())
                .with("discount_minor", line.discount_minor)
                .with("tax_minor", self.tax_minor(line.total_minor()))
                .with("total_minor", line.total_minor())
        };
        self.lines.iter().enumerate().map(row).collect()
    }

    /// The next version of the payment at a position, in a status; `captured` if its money came.
    pub fn payment_row(&mut self, index: usize, status: &'static str, at_us: i64) -> Row {
        let payment = &mut self.payments[index];
        payment.status = status;
        payment.version += 1;
        if status == "captured" {
            payment.captured_us = Some(at_us);
        }
        let id = format!("P-{}-{}", self.id, index + 1);
        let envelope = Envelope {
            system: self.system,
            event_id: format!("payment/{id}/{}", payment.version),
            version: payment.version,
            occurred_us: at_us,
        };
        let row = Row::new(Table::Payments, envelope)
            .with("payment_id", id)
            .with("order_id", &self.id)
            .with("method", payment.method)
            .with("status", status)
            .with("currency", self.system.currency())
            .with("amount_minor", payment.amount_minor);
        let row = match payment.captured_us {
            Some(captured_us) => row.time("captured_at", captured_us),
            None => row,
        };
        row.with("provider", payment.provider)
            .with("is_test", self.is_test)
    }
}

/// Money given back for an order, with the goods that came back.
#[derive(Debug)]
pub struct Refund {
    /// The order's system.
    pub system: System,
    /// The system's id.
    pub id: String,
    /// The order's id.
    pub order_id: String,
    /// Why.
    pub reason: &'static str,
    /// All money given back.
    pub amount_minor: i64,
    /// When it was asked for, in microseconds since the epoch.
    pub at_us: i64,
    /// Its version, from 1.
    pub version: u64,
    /// What is for which line.
    pub lines: Vec<RefundLine>,
    /// Where the goods came back to.
    pub location: usize,
}

/// The part of a refund that is for one order line.
#[derive(Debug)]
pub struct RefundLine {
    /// The line's position in the order.
    pub line: usize,
    /// The product's position in the catalogue.
    pub product: usize,
    /// Units that came back.
    pub units: i64,
    /// Money given back for them.
    pub amount_minor: i64,
    /// Whether they can be sold again.
    pub is_restocked: bool,
}

impl Refund {
    /// Its next version in a status.
    pub fn row(&mut self, status: &'static str, at_us: i64) -> Row {
        self.version += 1;
        let envelope = Envelope {
            system: self.system,
            event_id: format!("refund/{}/{}", self.id, self.version),
            version: self.version,
            occurred_us: at_us,
        };
        Row::new(Table::Refunds, envelope)
            .with("refund_id", &self.id)
            .with("order_id", &self.order_id)
            .time("refunded_at", self.at_us)
            .with("status", status)
            .with("reason", self.reason)
            .with("currency", self.system.currency())
            .with("amount_minor", self.amount_minor)
            .with("is_test", false)
    }

    /// The rows of its lines.
    pub fn line_rows(&self, catalogue: &Catalogue) -> Vec<Row> {
        let row = |line: &RefundLine| {
            let line_id = format!("{}", line.line + 1);
            let envelope = Envelope {
                system: self.system,
                event_id: format!("refund/{}/line/{line_id}", self.id),
                version: 1,
                occurred_us: self.at_us,
            };
            Row::new(Table::RefundLines, envelope)
                .with("refund_id", &self.id)
                .with("refund_line_id", line_id.clone())
                .with("order_id", &self.order_id)
                .with("line_id", line_id)
                .with(
                    "product_id",
                    catalogue.products[line.product].id(self.system),
                )
                .units("quantity", line.units)
                .with("currency", self.system.currency())
                .with("amount_minor", line.amount_minor)
                .with("is_restocked", line.is_restocked)
                .with("location_id", LOCATIONS[self.location].id)
        };
        self.lines.iter().map(row).collect()
    }
}
