//! What people do in the web shop beside buying: look, search, fill carts, read, review.

use super::calendar::SECOND_US;
use super::order::Order;
use super::people::customer_id;
use super::places::System;
use super::rows::{Envelope, Row, Table};
use super::shop::Shop;

/// Visits in a thousand by people with an account who are logged in.
const LOGGED_IN: u64 = 300;
/// Viewed products in a thousand that are put into a cart and left there.
const LEFT_IN_CART: u64 = 140;
/// Readers of a newsletter in a thousand who follow a link in it.
const CLICKED: u64 = 180;
/// How long people look at a page, in seconds.
const PAGE_SECONDS: (i64, i64) = (8, 90);

/// Somebody in the web shop.
struct Visitor {
    session: u64,
    channel: &'static str,
    cookie: String,
    customer_id: Option<String>,
    events: u32,
    at_us: i64,
}

impl Visitor {
    /// The next thing the visitor does.
    fn row(&mut self, interaction_type: &'static str) -> Row {
        self.events += 1;
        let envelope = Envelope {
            system: System::Webshop,
            event_id: format!("visit/{}/{}", self.session, self.events),
            version: u64::from(self.events),
            occurred_us: self.at_us,
        };
        Row::new(Table::Interactions, envelope)
            .with("interaction_type", interaction_type)
            .with("channel", self.channel)
            .with("session_id", format!("s{:08}", self.session))
            .with("customer_id", self.customer_id.clone())
            .with("anonymous_id", self.cookie.clone())
    }
}

impl Shop {
    /// The visit that led to an order, which has been placed at a moment; only the web shop tells.
    pub(super) fn browse_to_order(&mut self, order: &Order, cookie: &str, at_us: i64) {
        if order.system != System::Webshop {
            return;
        }
        let pages = 2 * order.lines.len() as i64 + 1;
        let mut visitor = Visitor {
            session: self.next_session(),
            channel: order.channel,
            cookie: cookie.to_owned(),
            customer_id: order.customer_id.clone(),
            events: 0,
            at_us: at_us - pages * PAGE_SECONDS.1 * SECOND_US,
        };
        for line in &order.lines {
            let product = self.catalogue.products[line.product]
                .id(System::Webshop)
                .clone();
            for (kind, units) in [("view_item", None), ("add_to_cart", Some(line.units))] {
                self.turn_page(&mut visitor);
                let row = visitor.row(kind).with("product_id", &product);
                let row = match units {
                    Some(units) => row.units("quantity", units),
                    None => row,
                };
                let row = row
                    .with("value_minor", line.unit_price_minor * units.unwrap_or(1))
                    .with("currency", "EUR")
                    .with("is_test", order.is_test);
                self.deliveries.send(row);
            }
        }
        self.turn_page(&mut visitor);
        let row = visitor
            .row("begin_checkout")
            .with("order_id", &order.id)
            .with("value_minor", order.lines_minor())
            .with("currency", "EUR")
            .with("is_test", order.is_test);
        self.deliveries.send(row);
    }

    /// Somebody looks around and leaves without an order.
    pub(super) fn visit(&mut self, at_us: i64) {
        let (cookie, customer_id) = self.visitor();
        let mut visitor = Visitor {
            session: self.next_session(),
            channel: ["web", "app"][self.random.weighted(&[75, 25])],
            cookie,
            customer_id,
            events: 0,
            at_us,
        };
        let campaign = *self.random.pick(&[
            None,
            None,
            Some("brand-search"),
            Some("shopping-ads"),
            Some("social"),
        ]);
        let pages = 1 + self.random.weighted(&[45, 25, 15, 10, 5]);
        for page in 0..pages {
            let product = self
                .catalogue
                .demand(System::Webshop)
                .draw(&mut self.random);
            let product = &self.catalogue.products[product];
            if page == 0 && self.random.chance(250) {
                let row = visitor
                    .row("search")
                    .with("search_text", product.title.to_lowercase())
                    .with("campaign", campaign);
                self.deliveries.send(row);
                self.turn_page(&mut visitor);
                continue;
            }
            let kind = match page > 0 && self.random.chance(LEFT_IN_CART) {
                true => "add_to_cart",
                false => "view_item",
            };
            let row = visitor
                .row(kind)
                .with("product_id", product.id(System::Webshop));
            let row = match kind {
                "add_to_cart" => row.units("quantity", 1),
                _ => row,
            };
            let row = row
                .with("value_minor", product.price_minor(System::Webshop))
                .with("currency", "EUR")
                .with("campaign", campaign);
            self.deliveries.send(row);
            self.turn_page(&mut visitor);
        }
    }

    /// A customer opens a newsletter, and may follow a link in it.
    pub(super) fn open_newsletter(&mut self, at_us: i64) {
        let Some(person) = self.people.recent_buyer(System::Webshop, &mut self.random) else {
            return;
        };
        let Some(account) = self.people.account(person, System::Webshop) else {
            return;
        };
        let mut visitor = Visitor {
            session: self.next_session(),
            channel: "email",
            cookie: self.people.person(person).cookie,
            customer_id: Some(customer_id(System::Webshop, account)),
            events: 0,
            at_us,
        };
        let row = visitor.row("email_open").with("campaign", "newsletter");
        self.deliveries.send(row);
        if self.random.chance(CLICKED) {
            self.turn_page(&mut visitor);
            let product = self
                .catalogue
                .demand(System::Webshop)
                .draw(&mut self.random);
            let row = visitor
                .row("email_click")
                .with(
                    "product_id",
                    self.catalogue.products[product].id(System::Webshop),
                )
                .with("campaign", "newsletter");
            self.deliveries.send(row);
        }
    }

    /// A buyer says what they think of a product.
    pub(super) fn review(
        &mut self,
        system: System,
        person: Option<u32>,
        order_id: String,
        product: usize,
        at_us: i64,
    ) {
        let account = person.and_then(|person| self.people.account(person, system));
        let envelope = Envelope {
            system,
            event_id: format!("review/{order_id}"),
            version: 1,
            occurred_us: at_us,
        };
        let channel = match system {
            System::Marketplace => "marketplace",
            System::Webshop | System::Tills => "web",
        };
        let row = Row::new(Table::Interactions, envelope)
            .with("interaction_type", "review")
            .with("channel", channel)
            .with(
                "customer_id",
                account.map(|account| customer_id(system, account)),
            )
            .with("product_id", self.catalogue.products[product].id(system))
            .with("order_id", order_id);
        self.deliveries.send(row);
    }

    /// Device and account of somebody who visits: a buyer of late, or somebody unknown.
    fn visitor(&mut self) -> (String, Option<String>) {
        let known = match self.random.chance(450) {
            true => self.people.recent_buyer(System::Webshop, &mut self.random),
            false => None,
        };
        let Some(person) = known else {
            let device = super::random::mix(self.seed ^ (1 << 40) ^ self.random.below(1 << 40));
            return (format!("{device:016x}"), None);
        };
        let account = self.people.account(person, System::Webshop);
        let account = account.filter(|_| self.random.chance(LOGGED_IN));
        let id = account.map(|account| customer_id(System::Webshop, account));
        (self.people.person(person).cookie, id)
    }

    fn next_session(&mut self) -> u64 {
        self.visits += 1;
        self.visits
    }

    fn turn_page(&mut self, visitor: &mut Visitor) {
        let (shortest, longest) = PAGE_SECONDS;
        visitor.at_us += self.random.between(shortest, longest) * SECOND_US;
    }
}
