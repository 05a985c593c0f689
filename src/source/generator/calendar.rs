//! The shop's year: months, weekdays, hours, seasons and promotions.

use chrono::{Datelike, Days, NaiveDate};

use super::places::System;

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in an hour.
pub const HOUR_US: i64 = 3_600 * SECOND_US;
/// Microseconds in a day.
pub const DAY_US: i64 = 24 * HOUR_US;
/// The first moment of the history: 2025-01-01 00:00 UTC, in microseconds since the epoch.
pub const START_US: i64 = 20_089 * DAY_US;

/// When a product is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Season {
    /// All year alike.
    Always,
    /// In the cold months.
    Winter,
    /// In spring and summer.
    Summer,
    /// Before Christmas, and a little in May.
    Gifts,
}

impl Season {
    /// Demand in the middle of each month, in thousandths of the year's mean.
    fn months(self) -> [i64; 12] {
        match self {
            Season::Always => [1000; 12],
            Season::Winter => [
                1600, 1400, 1050, 750, 550, 420, 380, 480, 850, 1250, 1500, 1750,
            ],
            Season::Summer => [
                300, 420, 950, 1650, 2100, 1950, 1500, 1050, 700, 450, 300, 280,
            ],
            Season::Gifts => [
                500, 700, 650, 750, 950, 650, 600, 600, 750, 1000, 2000, 2800,
            ],
        }
    }
}

/// Trade in the middle of each month, in thousandths of the year's mean.
const TRADE: [i64; 12] = [
    830, 800, 890, 930, 980, 940, 880, 860, 960, 1030, 1380, 1600,
];
/// Trade on each weekday from Monday, in thousandths.
const WEBSHOP_WEEK: [u64; 7] = [1090, 1010, 980, 960, 900, 900, 1160];
const TILLS_WEEK: [u64; 7] = [880, 900, 950, 1050, 1280, 1940, 0];
const MARKETPLACE_WEEK: [u64; 7] = [1040, 1020, 1000, 980, 940, 960, 1060];
/// Trade in each hour of the day (UTC) as weights.
const ONLINE_HOURS: [u32; 24] = [
    12, 6, 3, 2, 3, 8, 20, 34, 42, 48, 52, 56, 54, 48, 46, 48, 54, 64, 80, 96, 98, 80, 52, 28,
];
const TILLS_HOURS: [u32; 24] = [
    0, 0, 0, 0, 0, 0, 0, 0, 30, 60, 85, 110, 115, 100, 95, 105, 120, 95, 40, 0, 0, 0, 0, 0,
];

/// A time with lower prices.
#[derive(Clone, Debug)]
pub struct Promotion {
    /// Its id.
    pub name: &'static str,
    /// The first day, as month and day.
    from: (u32, u32),
    /// The day behind the last one.
    to: (u32, u32),
    /// The products' season; `None`: of every other product.
    season: Option<Season>,
    /// Off the list price.
    pub percent: i64,
    /// Demand for the products, in thousandths of the usual.
    pub lift: u64,
}

/// All promotions of a year; no two of them have one product at one time.
pub static PROMOTIONS: [Promotion; 6] = [
    Promotion {
        name: "winter-sale",
        from: (1, 3),
        to: (1, 22),
        season: Some(Season::Winter),
        percent: 25,
        lift: 1900,
    },
    Promotion {
        name: "garden-weeks",
        from: (4, 4),
        to: (4, 22),
        season: Some(Season::Summer),
        percent: 15,
        lift: 1600,
    },
    Promotion {
        name: "summer-sale",
        from: (7, 18),
        to: (8, 9),
        season: Some(Season::Summer),
        percent: 30,
        lift: 2100,
    },
    Promotion {
        name: "new-home",
        from: (9, 5),
        to: (9, 13),
        season: Some(Season::Always),
        percent: 10,
        lift: 1400,
    },
    Promotion {
        name: "black-week",
        from: (11, 24),
        to: (12, 1),
        season: None,
        percent: 20,
        lift: 1800,
    },
    Promotion {
        name: "gift-weeks",
        from: (12, 5),
        to: (12, 20),
        season: Some(Season::Gifts),
        percent: 10,
        lift: 1500,
    },
];

/// The trade of black week beside its prices, in thousandths of the usual.
const BLACK_WEEK_TRADE: u64 = 1500;

impl Promotion {
    /// Whether it holds on a day for the product with a season and number.
    pub fn holds(&self, day: Day, season: Season, product: usize) -> bool {
        let is_meant = match self.season {
            Some(meant) => meant == season,
            None => product.is_multiple_of(2),
        };
        is_meant && self.is_on(day)
    }

    fn is_on(&self, day: Day) -> bool {
        let date = day.date();
        let today = (date.month(), date.day());
        today >= self.from && today < self.to
    }

    /// The moment it ends if it is on, in microseconds since the epoch.
    pub fn end_us(&self, day: Day) -> i64 {
        let mut last = day;
        while self.is_on(last) {
            last = Day(last.0 + 1);
        }
        last.start_us()
    }
}

/// A day of the history, counted from its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub u32);

impl Day {
    /// The date.
    pub fn date(self) -> NaiveDate {
        let start = NaiveDate::from_ymd_opt(2025, 1, 1).unwrap_or_default();
        let date = start.checked_add_days(Days::new(u64::from(self.0)));
        date.unwrap_or(start)
    }

    /// Its first moment in microseconds since the epoch.
    pub fn start_us(self) -> i64 {
        START_US + i64::from(self.0) * DAY_US
    }

    /// The weekday; Monday is 0.
    pub fn weekday(self) -> usize {
        self.date().weekday().num_days_from_monday() as usize
    }

    /// Demand for products of a season, in thousandths of the year's mean.
    pub fn demand(self, season: Season) -> u64 {
        self.between_months(&season.months())
    }

    /// Trade of a system, in thousandths of the mean of the history's first year. It grows by 15 %
    /// a year.
    pub fn trade(self, system: System) -> u64 {
        let week = match system {
            System::Webshop => WEBSHOP_WEEK,
            System::Tills => TILLS_WEEK,
            System::Marketplace => MARKETPLACE_WEEK,
        };
        let growth = 925 + u64::from(self.0) * 150 / 365;
        let is_black_week = PROMOTIONS
            .iter()
            .any(|p| p.season.is_none() && p.is_on(self));
        let extra = if is_black_week {
            BLACK_WEEK_TRADE
        } else {
            1000
        };
        self.between_months(&TRADE) * week[self.weekday()] / 1000 * growth / 1000 * extra / 1000
    }

    /// Interpolates between the middles of months, so that no step falls on a month's first day.
    fn between_months(self, months: &[i64; 12]) -> u64 {
        let date = self.date();
        let (month, offset) = (date.month0() as usize, i64::from(date.day()) - 15);
        let neighbour = match offset < 0 {
            true => (month + 11) % 12,
            false => (month + 1) % 12,
        };
        let step = (months[neighbour] - months[month]) * offset.abs() / 31;
        (months[month] + step).unsigned_abs()
    }
}

/// The weights of the hours of a day (UTC) in a system.
pub fn hours(system: System) -> &'static [u32; 24] {
    match system {
        System::Tills => &TILLS_HOURS,
        System::Webshop | System::Marketplace => &ONLINE_HOURS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_begins_on_a_wednesday() {
        assert_eq!(Day(0).date().to_string(), "2025-01-01");
        assert_eq!(Day(0).weekday(), 2);
        assert_eq!(Day(0).start_us() / SECOND_US, 1_735_689_600);
        assert_eq!(Day(365).date().to_string(), "2026-01-01");
    }

    #[test]
    fn the_year_has_its_seasons() {
        let (june, december) = (Day(165), Day(348));
        assert!(june.demand(Season::Summer) > 4 * december.demand(Season::Summer));
        assert!(december.demand(Season::Gifts) > 3 * june.demand(Season::Gifts));
        let sunday = Day(4);
        assert_eq!(sunday.weekday(), 6);
        assert_eq!(sunday.trade(System::Tills), 0);
        assert!(december.trade(System::Webshop) > june.trade(System::Webshop));
    }

    #[test]
    fn promotions_begin_and_end() {
        let black_week = &PROMOTIONS[4];
        let day = Day(330);
        assert_eq!(day.date().to_string(), "2025-11-27");
        assert!(black_week.holds(day, Season::Always, 4));
        assert!(!black_week.holds(day, Season::Always, 5));
        assert_eq!(black_week.end_us(day), Day(334).start_us());
        for promotion in &PROMOTIONS {
            let others = PROMOTIONS.iter().filter(|p| p.name != promotion.name);
            for (day, other) in others.flat_map(|p| (0..365).map(move |day| (Day(day), p))) {
                assert!(!(promotion.is_on(day) && other.is_on(day)), "{day:?}");
            }
        }
    }
}
