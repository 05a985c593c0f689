//! Buyers and their accounts: opened at the first order, changed now and then.

use super::people::{Account, Person, customer_id, loyalty_card};
use super::places::System;
use super::rows::{Envelope, Row, Table};
use super::shop::Shop;

/// Orders in a thousand at which somebody changes their account.
const CHANGED: u64 = 15;

/// Somebody who buys, as the system sees them.
pub struct Buyer {
    /// The person's number.
    pub number: u32,
    /// Who it is.
    pub person: Person,
    /// The account; guests have none.
    pub customer_id: Option<String>,
    /// The e-mail address given with the order.
    pub email: String,
    /// The telephone number given with the order.
    pub phone: Option<String>,
}

impl Shop {
    /// Draws who buys. With an account it is opened or changed where that is due.
    pub(super) fn buyer(&mut self, system: System, at_us: i64, with_account: bool) -> Buyer {
        let number = self.people.next_buyer(system, &mut self.random);
        self.people.remember(number, system);
        let person = self.people.person(number);
        let mut id = None;
        if with_account {
            let account = match self.people.account(number, system) {
                None => {
                    self.people.open_account(number, system, at_us);
                    self.send_account(number, system, at_us);
                    self.people.account(number, system)
                }
                Some(account) => {
                    if self.random.chance(CHANGED) {
                        self.people.change_account(number, system);
                        self.send_account(number, system, at_us);
                    }
                    Some(account)
                }
            };
            id = account.map(|account| customer_id(system, account));
        }
        let email = known_email(system, &person, number);
        let gives_phone = system == System::Webshop || shares_phone(&person);
        let phone = gives_phone.then(|| person.phone.clone());
        Buyer {
            number,
            person,
            customer_id: id,
            email,
            phone,
        }
    }

    /// Sends the rows of an account as it is.
    pub(super) fn send_account(&mut self, number: u32, system: System, at_us: i64) {
        let Some(account) = self.people.account(number, system) else {
            return;
        };
        let person = self.people.person(number);
        let id = customer_id(system, account);
        let row = customer_row(system, &id, account, &person, number, at_us);
        self.deliveries.send(row);
        for row in identifier_rows(system, &id, account, &person, number, at_us) {
            self.deliveries.send(row);
        }
    }
}

fn customer_row(
    system: System,
    id: &str,
    account: Account,
    person: &Person,
    number: u32,
    at_us: i64,
) -> Row {
    let envelope = Envelope {
        system,
        event_id: format!("customer/{id}/{}", account.version),
        version: u64::from(account.version),
        occurred_us: at_us,
    };
    // People move: a changed account may have another town.
    let moves = account.version as usize / 2;
    let towns = person.country.towns;
    let home = towns.iter().position(|town| town.0 == person.town.0);
    let (city, region, postal_code) = towns[(home.unwrap_or(0) + moves) % towns.len()];
    let agreed = (person.habits + u64::from(account.version)) % 5 < 3;
    let is_asked = system != System::Marketplace;
    let has_phone = system != System::Marketplace || shares_phone(person);
    let phone = match system {
        System::Tills => &person.home_phone,
        _ => &person.phone,
    };
    Row::new(Table::Customers, envelope)
        .with("customer_id", id.to_owned())
        .with("first_name", person.first_name)
        .with("last_name", person.last_name)
        .with("email", raw_email(system, person, number))
        .with("phone", has_phone.then(|| phone.clone()))
        .with("country_code", person.country.code)
        .with("region_code", region)
        .with("city", city)
        .with("postal_code", postal_code)
        .with("language", person.country.language)
        .with("accepts_marketing", is_asked.then_some(agreed))
        .time("created_at", account.opened_us)
        .with("is_test", false)
}

fn identifier_rows(
    system: System,
    id: &str,
    account: Account,
    person: &Person,
    number: u32,
    at_us: i64,
) -> Vec<Row> {
    let email = known_email(system, person, number);
    let raw_email = Some(raw_email(system, person, number)).filter(|raw| *raw != email);
    let mut identifiers = vec![("email", email, raw_email, system != System::Tills)];
    if system != System::Marketplace || shares_phone(person) {
        let raw = (system == System::Tills).then(|| person.home_phone.clone());
        identifiers.push(("phone", person.phone.clone(), raw, false));
    }
    match system {
        System::Webshop => identifiers.push(("cookie", person.cookie.clone(), None, false)),
        System::Tills => identifiers.push(("loyalty", loyalty_card(account), None, true)),
        System::Marketplace => identifiers.push(("external", id.to_owned(), None, true)),
    }
    let row = |(kind, value, raw, is_verified): (&'static str, String, Option<String>, bool)| {
        let envelope = Envelope {
            system,
            event_id: format!("customer/{id}/{}/{kind}", account.version),
            version: u64::from(account.version),
            occurred_us: at_us,
        };
        Row::new(Table::CustomerIdentifiers, envelope)
            .with("customer_id", id.to_owned())
            .with("identifier_type", kind)
            .with("identifier_value", value)
            .with("raw_value", raw)
            .with("is_verified", is_verified)
            .time("first_seen_at", account.opened_us)
    };
    identifiers.into_iter().map(row).collect()
}

/// The address under which a system knows a person: the marketplace hides most of them.
fn known_email(system: System, person: &Person, number: u32) -> String {
    let is_hidden = system == System::Marketplace && person.habits % 10 < 7;
    match is_hidden {
        true => {
            let alias = super::random::mix(u64::from(number) ^ person.habits) >> 20;
            format!("{alias:011x}@relay.example.com")
        }
        false => person.email.clone(),
    }
}

/// The address as it was typed: at the till, some in capitals.
fn raw_email(system: System, person: &Person, number: u32) -> String {
    let email = known_email(system, person, number);
    match system == System::Tills && person.habits.is_multiple_of(6) {
        true => email.to_uppercase(),
        false => email,
    }
}

/// Whether a person's telephone number is also known to the marketplace.
fn shares_phone(person: &Person) -> bool {
    person.habits / 16 % 10 < 6
}
