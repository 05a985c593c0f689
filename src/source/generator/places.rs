//! The systems that tell what happens, and the places where goods lie.

/// A system of the shop; its name is the `source` of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// The web shop with its app, and the warehouses behind it.
    Webshop,
    /// The tills of the stores.
    Tills,
    /// The marketplace abroad, which keeps stock of its own.
    Marketplace,
}

impl System {
    /// All systems.
    pub const ALL: [System; 3] = [System::Webshop, System::Tills, System::Marketplace];

    /// What `source` says.
    pub fn name(self) -> &'static str {
        match self {
            System::Webshop => "webshop",
            System::Tills => "tills",
            System::Marketplace => "marketplace",
        }
    }

    /// Its position in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        self as usize
    }

    /// The currency it sells in.
    pub fn currency(self) -> &'static str {
        match self {
            System::Webshop | System::Tills => "EUR",
            System::Marketplace => "GBP",
        }
    }

    /// How long after an event the system has written it down, in microseconds.
    pub fn recording_delay_us(self) -> i64 {
        match self {
            System::Webshop => 1_000_000,
            System::Tills => 0,
            System::Marketplace => 60_000_000,
        }
    }

    /// Orders of the system in a thousand of all.
    pub fn order_share(self) -> u64 {
        match self {
            System::Webshop => 460,
            System::Tills => 400,
            System::Marketplace => 140,
        }
    }

    /// Units in an order on average, in thousandths: what replenishment reckons with.
    pub fn units_per_order(self) -> u64 {
        match self {
            System::Webshop => 3_000,
            System::Tills => 2_400,
            System::Marketplace => 1_500,
        }
    }
}

/// A place where goods lie.
#[derive(Clone, Debug)]
pub struct Location {
    /// Its id in its system.
    pub id: &'static str,
    /// The system that reports its stock.
    pub system: System,
    /// What it is called.
    pub name: &'static str,
    /// What it is.
    pub location_type: &'static str,
    /// Its GS1 number without the check digit.
    pub gln_body: &'static str,
    /// ISO 3166-1 and -2, city, postal code.
    pub country_code: &'static str,
    /// ISO 3166-2.
    pub region_code: &'static str,
    /// The city.
    pub city: &'static str,
    /// The postal code.
    pub postal_code: &'static str,
    /// IANA time zone.
    pub time_zone: &'static str,
    /// Whether its stock may be sold online.
    pub fulfils_online: bool,
    /// Its part of its system's sales, in percent.
    pub share_percent: u64,
    /// The warehouse that supplies it; warehouses are supplied from outside.
    pub supplier: Option<usize>,
}

/// How many places there are.
pub const PLACES: usize = 7;

/// All places; positions in this list identify them in the generator.
pub static LOCATIONS: [Location; PLACES] = [
    Location {
        id: "WH-ROTTERDAM",
        system: System::Webshop,
        name: "Warehouse Rotterdam",
        location_type: "warehouse",
        gln_body: "871234500001",
        country_code: "NL",
        region_code: "NL-ZH",
        city: "Rotterdam",
        postal_code: "3089 KC",
        time_zone: "Europe/Amsterdam",
        fulfils_online: true,
        share_percent: 60,
        supplier: None,
    },
    Location {
        id: "WH-LEIPZIG",
        system: System::Webshop,
        name: "Warehouse Leipzig",
        location_type: "warehouse",
        gln_body: "871234500002",
        country_code: "DE",
        region_code: "DE-SN",
        city: "Leipzig",
        postal_code: "04356",
        time_zone: "Europe/Berlin",
        fulfils_online: true,
        share_percent: 40,
        supplier: None,
    },
    Location {
        id: "AMS",
        name: "Amsterdam, Haarlemmerstraat",
        gln_body: "871234500011",
        country_code: "NL",
        region_code: "NL-NH",
        city: "Amsterdam",
        postal_code: "1013 ER",
        time_zone: "Europe/Amsterdam",
        share_percent: 34,
        ..STORE
    },
    Location {
        id: "ANR",
        name: "Antwerp, Kammenstraat",
        gln_body: "871234500012",
        country_code: "BE",
        region_code: "BE-VAN",
        city: "Antwerp",
        postal_code: "2000",
        time_zone: "Europe/Brussels",
        share_percent: 24,
        fulfils_online: false,
        ..STORE
    },
    Location {
        id: "HAM",
        name: "Hamburg, Marktstraße",
        gln_body: "871234500013",
        country_code: "DE",
        region_code: "DE-HH",
        city: "Hamburg",
        postal_code: "20357",
        share_percent: 25,
        supplier: Some(1),
        ..STORE
    },
    Location {
        id: "VIE",
        name: "Vienna, Neubaugasse",
        gln_body: "871234500014",
        country_code: "AT",
        region_code: "AT-9",
        city: "Vienna",
        postal_code: "1070",
        time_zone: "Europe/Vienna",
        share_percent: 17,
        fulfils_online: false,
        supplier: Some(1),
        ..STORE
    },
    Location {
        id: "FC-COVENTRY",
        system: System::Marketplace,
        name: "Marketplace centre Coventry",
        location_type: "marketplace",
        gln_body: "871234500021",
        country_code: "GB",
        region_code: "GB-COV",
        city: "Coventry",
        postal_code: "CV6 4BS",
        time_zone: "Europe/London",
        fulfils_online: true,
        share_percent: 100,
        supplier: Some(0),
    },
];

const STORE: Location = Location {
    id: "",
    system: System::Tills,
    name: "",
    location_type: "store",
    gln_body: "",
    country_code: "",
    region_code: "",
    city: "",
    postal_code: "",
    time_zone: "Europe/Berlin",
    fulfils_online: true,
    share_percent: 0,
    supplier: Some(0),
};

/// The place with the marketplace's own stock.
pub const MARKETPLACE_CENTRE: usize = 6;

/// The two warehouses, the one nearer to a country first.
pub fn warehouses_for(country_code: &str) -> [usize; 2] {
    match country_code {
        "DE" | "AT" => [1, 0],
        _ => [0, 1],
    }
}

/// The positions of the places whose stock a system reports.
pub fn locations_of(system: System) -> impl Iterator<Item = usize> {
    (0..LOCATIONS.len()).filter(move |location| LOCATIONS[*location].system == system)
}

/// Value-added tax in percent, contained in prices.
pub fn tax_percent(country_code: &str) -> i64 {
    match country_code {
        "NL" | "BE" => 21,
        "DE" => 19,
        _ => 20,
    }
}

/// The GS1 check digit for the digits before it.
pub fn check_digit(digits: &str) -> u32 {
    let weighted = digits.bytes().rev().enumerate().map(|(place, digit)| {
        let weight = if place.is_multiple_of(2) { 3 } else { 1 };
        weight * u32::from(digit.saturating_sub(b'0'))
    });
    (10 - weighted.sum::<u32>() % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_those_of_gs1() {
        assert_eq!(check_digit("400638133393"), 1);
        assert_eq!(check_digit("0978014300723"), 4);
    }

    #[test]
    fn the_places_of_a_system_share_all_its_sales() {
        for system in System::ALL {
            let shares = locations_of(system).map(|location| LOCATIONS[location].share_percent);
            assert_eq!(shares.sum::<u64>(), 100);
        }
        assert_eq!(LOCATIONS[MARKETPLACE_CENTRE].system, System::Marketplace);
    }
}
