//! The people who buy, and the accounts under which the systems know them.
//!
//! A person's name, address and so on follow from the seed and the person's number alone, so that
//! only accounts take memory. One person may have an account in each system; e-mail addresses and
//! telephone numbers tell that it is the same one.

use std::collections::VecDeque;

use super::calendar::{DAY_US, START_US};
use super::names::{ABROAD, AT_HOME, COUNTRIES, Country, plain};
use super::places::System;
use super::random::{Random, mix};

/// Buyers who are new to a system, in thousandths of its orders.
const NEWCOMERS: [u64; 3] = [300, 260, 520];
/// Those of them whom another system knows, in thousandths.
const KNOWN_ELSEWHERE: u64 = 320;
/// Each system's buyers of so many days are those who come again; others have moved on.
const DAYS_REMEMBERED: u64 = 75;
/// Accounts at the start, at scale 1.
const FIRST_ACCOUNTS: [u64; 3] = [1_400, 900, 250];

/// What is true of a person whatever system looks.
#[derive(Debug)]
pub struct Person {
    /// Where the person lives.
    pub country: &'static Country,
    /// Town, region, postal code.
    pub town: (&'static str, &'static str, &'static str),
    /// Given name.
    pub first_name: &'static str,
    /// Family name.
    pub last_name: &'static str,
    /// E-mail address in lower case.
    pub email: String,
    /// Telephone number in E.164.
    pub phone: String,
    /// The same as people write it at home.
    pub home_phone: String,
    /// The device by which the web shop recognises the person.
    pub cookie: String,
    /// A number to draw habits from.
    pub habits: u64,
}

impl Person {
    fn new(seed: u64, number: u32, is_abroad: bool) -> Person {
        let mut random = Random::new(seed ^ 0x7065_6f70_6c65, u64::from(number));
        let drawn = random.weighted(&AT_HOME);
        let country = &COUNTRIES[if is_abroad { ABROAD } else { drawn }];
        let first_name = *random.pick(country.first_names);
        let last_name = *random.pick(country.last_names);
        let top_level = ["com", "org", "net"][random.weighted(&[6, 2, 2])];
        let (first, last) = (plain(first_name), plain(last_name));
        // A prime that spreads the numbers over all of seven digits.
        let digits = (u64::from(number) * 3_141_599 + 1_234_567) % 10_000_000;
        Person {
            country,
            town: *random.pick(country.towns),
            first_name,
            last_name,
            email: format!("{first}.{last}{number}@example.{top_level}"),
            phone: format!("{}{digits:07}", country.mobile_prefix),
            home_phone: format!("{}{digits:07}", country.home_prefix),
            cookie: format!("{:016x}", mix(seed ^ mix(u64::from(number)))),
            habits: random.below(1 << 32),
        }
    }
}

/// An account of a person in a system; number 0 is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// The system's number of the account, from 1.
    pub number: u32,
    /// How often it was changed, from 1.
    pub version: u32,
    /// When it was opened, in microseconds since the epoch.
    pub opened_us: i64,
}

/// Everybody who ever bought or has an account.
pub struct People {
    seed: u64,
    /// The accounts of each person, by system.
    accounts: Vec<[Account; 3]>,
    /// Whether the person was first seen by the marketplace and lives in its country.
    is_abroad: Vec<bool>,
    /// How many accounts each system has.
    counts: [u32; 3],
    /// The latest buyers of each system: one entry an order, so that those who buy often are met
    /// often.
    recent: [VecDeque<u32>; 3],
    /// How many entries are kept for each system.
    remembered: [usize; 3],
}

impl People {
    /// The accounts at the start; `orders_per_day` says how many orders each system gets.
    pub fn new(
        seed: u64,
        scale_thousandths: u64,
        orders_per_day: [u64; 3],
        random: &mut Random,
    ) -> People {
        let mut people = People {
            seed,
            accounts: Vec::new(),
            is_abroad: Vec::new(),
            counts: [0; 3],
            recent: Default::default(),
            remembered: orders_per_day.map(|orders| (orders * DAYS_REMEMBERED).max(50) as usize),
        };
        for system in System::ALL {
            let count = FIRST_ACCOUNTS[system.index()] * scale_thousandths / 1000;
            for _ in 0..count.max(10) {
                let person = people.newcomer(system, random);
                let age_us = random.below(900 * DAY_US as u64) as i64;
                people.open_account(person, system, START_US - age_us);
                people.remember(person, system);
            }
        }
        people
    }

    /// How many people there are.
    pub fn count(&self) -> u32 {
        self.accounts.len() as u32
    }

    /// A person by number.
    pub fn person(&self, number: u32) -> Person {
        Person::new(self.seed, number, self.is_abroad[number as usize])
    }

    /// The account of a person in a system, if there is one.
    pub fn account(&self, person: u32, system: System) -> Option<Account> {
        let account = self.accounts[person as usize][system.index()];
        (account.number > 0).then_some(account)
    }

    /// Who buys next in a system: somebody who bought there lately, somebody another system
    /// knows, or somebody new.
    pub fn next_buyer(&mut self, system: System, random: &mut Random) -> u32 {
        let recent = &self.recent[system.index()];
        if !recent.is_empty() && !random.chance(NEWCOMERS[system.index()]) {
            return recent[random.index(recent.len())];
        }
        self.newcomer(system, random)
    }

    /// Somebody who bought in a system lately.
    pub fn recent_buyer(&self, system: System, random: &mut Random) -> Option<u32> {
        let recent = &self.recent[system.index()];
        (!recent.is_empty()).then(|| recent[random.index(recent.len())])
    }

    /// Notes an order, so that its buyer is more likely to come again.
    pub fn remember(&mut self, person: u32, system: System) {
        let recent = &mut self.recent[system.index()];
        if recent.len() >= self.remembered[system.index()] {
            recent.pop_front();
        }
        recent.push_back(person);
    }

    /// Opens an account.
    pub fn open_account(&mut self, person: u32, system: System, at_us: i64) -> Account {
        self.counts[system.index()] += 1;
        let account = Account {
            number: self.counts[system.index()],
            version: 1,
            opened_us: at_us,
        };
        self.accounts[person as usize][system.index()] = account;
        account
    }

    /// Notes that an account changed.
    pub fn change_account(&mut self, person: u32, system: System) {
        self.accounts[person as usize][system.index()].version += 1;
    }

    fn newcomer(&mut self, system: System, random: &mut Random) -> u32 {
        if random.chance(KNOWN_ELSEWHERE) {
            let other = *random.pick(&System::ALL);
            let known = self.recent_buyer(other, random);
            if let Some(person) = known.filter(|person| self.account(*person, system).is_none()) {
                return person;
            }
        }
        self.accounts.push([Account::default(); 3]);
        self.is_abroad.push(system == System::Marketplace);
        self.count() - 1
    }
}

/// The id of an account in its system.
pub fn customer_id(system: System, account: Account) -> String {
    match system {
        System::Webshop => format!("{}", 100_000 + account.number),
        System::Tills => loyalty_card(account),
        System::Marketplace => format!("A{:010X}", mix(u64::from(account.number)) >> 24),
    }
}

/// The number on a loyalty card.
pub fn loyalty_card(account: Account) -> String {
    format!("9826{:08}", account.number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn people_are_told_apart_and_stay_who_they_are() {
        let mut random = Random::new(1, 1);
        let people = People::new(1, 1000, [115, 100, 35], &mut random);
        assert!(people.count() > 2_000, "{}", people.count());
        let mut emails = BTreeSet::new();
        let mut phones = BTreeSet::new();
        for number in 0..people.count() {
            let person = people.person(number);
            assert!(person.email.is_ascii(), "{}", person.email);
            assert!(emails.insert(person.email) && phones.insert(person.phone));
        }
        assert_eq!(people.person(7).email, people.person(7).email);
        let accounts = |number: &u32| {
            let has = |system: &&System| people.account(*number, **system).is_some();
            System::ALL.iter().filter(has).count()
        };
        let several = (0..people.count()).filter(|number| accounts(number) > 1);
        assert!(several.count() > 100);
    }
}
