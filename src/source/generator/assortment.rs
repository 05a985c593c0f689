//! What the shop sells: departments with their goods, makers and looks.

use super::calendar::Season;

/// A department.
#[derive(Debug)]
pub struct Department {
    /// Path from wide to narrow.
    pub category: &'static str,
    /// The beginning of its stock keeping units.
    pub code: &'static str,
    /// When its goods are wanted.
    pub season: Season,
    /// Units in a thousand that come back.
    pub returns: u64,
    /// Its part of the assortment, as a weight.
    pub size: u32,
    /// What the goods are made of or look like.
    pub materials: &'static [&'static str],
    /// The goods, with the lowest and highest list price in euros.
    pub goods: &'static [(&'static str, i64, i64)],
    /// What sets variants apart.
    pub variants: &'static [&'static str],
}

/// Makers; all of them are made up.
pub const BRANDS: [&str; 9] = [
    "Noordlicht",
    "Halden & Co",
    "Maren",
    "Atelier Douze",
    "Kastanie",
    "Fjordhus",
    "Oude Haven",
    "Linde",
    "Brightwater",
];

const COLOURS: &[&str] = &["Sand", "Moss", "Slate", "Rust", "Chalk", "Ink"];

/// All departments.
pub static DEPARTMENTS: [Department; 10] = [
    Department {
        category: "Home > Kitchen > Cookware",
        code: "COO",
        season: Season::Always,
        returns: 40,
        size: 14,
        materials: &["Cast-iron", "Copper", "Steel", "Enamel"],
        goods: &[
            ("Frying Pan", 29, 89),
            ("Saucepan", 35, 99),
            ("Casserole", 69, 189),
            ("Wok", 39, 79),
            ("Baking Tray", 14, 34),
        ],
        variants: &["20 cm", "24 cm", "28 cm", "32 cm"],
    },
    Department {
        category: "Home > Table > Tableware",
        code: "TAB",
        season: Season::Always,
        returns: 50,
        size: 18,
        materials: &["Stoneware", "Porcelain", "Glass", "Enamel", "Olive-wood"],
        goods: &[
            ("Mug", 7, 19),
            ("Dinner Plate", 9, 24),
            ("Bowl", 8, 22),
            ("Carafe", 19, 45),
            ("Teapot", 29, 59),
            ("Serving Dish", 24, 65),
        ],
        variants: COLOURS,
    },
    Department {
        category: "Home > Textiles > Bedding",
        code: "BED",
        season: Season::Winter,
        returns: 140,
        size: 12,
        materials: &["Linen", "Cotton", "Wool", "Flannel"],
        goods: &[
            ("Duvet Cover", 49, 139),
            ("Pillowcase", 14, 34),
            ("Blanket", 39, 119),
            ("Throw", 29, 79),
        ],
        variants: COLOURS,
    },
    Department {
        category: "Home > Textiles > Towels",
        code: "TOW",
        season: Season::Always,
        returns: 70,
        size: 8,
        materials: &["Waffle", "Terry", "Linen"],
        goods: &[
            ("Hand Towel", 9, 19),
            ("Bath Towel", 19, 39),
            ("Bath Mat", 19, 45),
            ("Tea Towel", 7, 14),
        ],
        variants: COLOURS,
    },
    Department {
        category: "Home > Living > Lamps",
        code: "LAM",
        season: Season::Winter,
        returns: 110,
        size: 10,
        materials: &["Oak", "Brass", "Rattan", "Glass"],
        goods: &[
            ("Table Lamp", 49, 129),
            ("Floor Lamp", 89, 249),
            ("Pendant", 59, 199),
            ("Reading Light", 35, 79),
        ],
        variants: &["Small", "Large", "Black", "White"],
    },
    Department {
        category: "Home > Living > Storage",
        code: "STO",
        season: Season::Always,
        returns: 60,
        size: 9,
        materials: &["Seagrass", "Felt", "Wire", "Bamboo"],
        goods: &[
            ("Basket", 15, 49),
            ("Shelf Box", 12, 29),
            ("Laundry Hamper", 35, 79),
            ("Coat Rack", 39, 99),
        ],
        variants: &["Small", "Medium", "Large"],
    },
    Department {
        category: "Home > Living > Candles",
        code: "CAN",
        season: Season::Gifts,
        returns: 15,
        size: 8,
        materials: &["Beeswax", "Soy", "Scented", "Dipped"],
        goods: &[
            ("Candle", 6, 29),
            ("Tealights", 5, 12),
            ("Candle Holder", 12, 39),
        ],
        variants: &["Fig", "Cedar", "Unscented", "Orange Peel"],
    },
    Department {
        category: "Garden > Outdoor > Furniture",
        code: "GAR",
        season: Season::Summer,
        returns: 90,
        size: 7,
        materials: &["Acacia", "Teak", "Aluminium"],
        goods: &[
            ("Folding Chair", 49, 99),
            ("Bistro Table", 79, 199),
            ("Bench", 129, 329),
            ("Parasol", 89, 219),
        ],
        variants: &["Natural", "Green", "White"],
    },
    Department {
        category: "Garden > Plants > Pots and Tools",
        code: "POT",
        season: Season::Summer,
        returns: 35,
        size: 9,
        materials: &["Terracotta", "Zinc", "Glazed", "Ash-wood"],
        goods: &[
            ("Plant Pot", 9, 49),
            ("Watering Can", 24, 59),
            ("Trowel", 14, 29),
            ("Planter", 39, 119),
        ],
        variants: &["Small", "Medium", "Large"],
    },
    Department {
        category: "Gifts > Seasonal > Christmas",
        code: "XMA",
        season: Season::Gifts,
        returns: 30,
        size: 5,
        materials: &["Paper", "Glass", "Straw", "Felt"],
        goods: &[
            ("Star", 9, 39),
            ("Bauble Set", 14, 34),
            ("Advent Calendar", 24, 69),
            ("Wreath", 24, 59),
        ],
        variants: &["Red", "Gold", "Natural"],
    },
];
