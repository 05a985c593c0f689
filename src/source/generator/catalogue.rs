//! The products and their prices, as each system knows them.

use super::assortment::{BRANDS, DEPARTMENTS, Department};
use super::calendar::{DAY_US, Day, PROMOTIONS, START_US};
use super::places::{System, check_digit};
use super::random::{Random, Weights};
use super::rows::{Envelope, Row, Table};

/// Products at scale 1.
const PRODUCTS: u64 = 420;
/// Fewest products.
const FEWEST: u64 = 60;
/// In so many days a product's list price changes once on average.
const DAYS_BETWEEN_PRICES: u64 = 200;
/// The best-selling products are so many ranks above the usual long tail: the fewer, the steeper.
const HEAD_RANKS: u64 = 6;

/// One sellable variant.
#[derive(Debug)]
pub struct Product {
    /// The merchant's own id, common to all systems.
    pub sku: String,
    /// GS1 number of 14 digits.
    pub gtin: String,
    /// The id in each system.
    pub ids: [String; 3],
    /// The id of the product whose variant it is, without the system's form.
    parent: u32,
    /// Name.
    pub title: String,
    variant_title: &'static str,
    brand: &'static str,
    /// Where it is sold in the shop.
    pub department: &'static Department,
    /// The list price in euro cents.
    list_minor: i64,
    /// Changes of the list price so far.
    prices_set: u64,
    /// The promotion it is in, as a position in [`PROMOTIONS`].
    promotion: Option<usize>,
    /// How much it is wanted in all, by its place among the best-sellers.
    popularity: u64,
    /// Whether the marketplace sells it.
    is_listed_abroad: bool,
}

impl Product {
    /// Its id in a system.
    pub fn id(&self, system: System) -> &String {
        &self.ids[system.index()]
    }

    /// Today's price in minor units of the system's currency.
    pub fn price_minor(&self, system: System) -> i64 {
        let list_minor = self.list_price_minor(system);
        match self.promotion {
            Some(promotion) => rounded_price(list_minor * (100 - PROMOTIONS[promotion].percent)),
            None => list_minor,
        }
    }

    fn list_price_minor(&self, system: System) -> i64 {
        match system {
            System::Webshop | System::Tills => self.list_minor,
            System::Marketplace => rounded_price(self.list_minor * 92),
        }
    }
}

/// A price given in hundredths of minor units, as a price that shops write: …5 or …9.
fn rounded_price(hundredths: i64) -> i64 {
    let minor = hundredths / 100;
    (minor / 10 * 10 + if minor % 10 < 5 { 5 } else { 9 }).max(95)
}

/// All products.
pub struct Catalogue {
    /// By position, which identifies a product in the generator.
    pub products: Vec<Product>,
    /// Today's demand in each system.
    demand: [Weights; 3],
}

impl Catalogue {
    /// The assortment of a shop of this scale (in thousandths); it grows with its square root.
    pub fn new(seed: u64, scale_thousandths: u64) -> Catalogue {
        let mut random = Random::new(seed, 1);
        let count = (PRODUCTS * PRODUCTS * scale_thousandths / 1000).isqrt();
        let count = count.max(FEWEST) as usize;
        let mut ranks: Vec<u64> = (0..count as u64).collect();
        random.shuffle(&mut ranks);
        let mut products = Vec::with_capacity(count);
        let mut parent = 0;
        while products.len() < count {
            add_family(parent, count, &ranks, &mut products, &mut random);
            parent += 1;
        }
        Catalogue {
            products,
            demand: Default::default(),
        }
    }

    /// How much each product is wanted today in a system.
    pub fn demand(&self, system: System) -> &Weights {
        &self.demand[system.index()]
    }

    /// The rows for all products and their first prices.
    pub fn opening_rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (index, product) in self.products.iter().enumerate() {
            for system in systems_of(product) {
                rows.push(product_row(product, index, system));
                rows.push(price_row(product, system, START_US, None));
            }
        }
        rows
    }

    /// Changes list prices, begins and ends promotions, and reckons the day's demand. Returns the
    /// rows for the prices that changed.
    pub fn open(&mut self, day: Day, random: &mut Random) -> Vec<Row> {
        let mut rows = Vec::new();
        for (index, product) in self.products.iter_mut().enumerate() {
            let promotion = PROMOTIONS
                .iter()
                .position(|p| p.holds(day, product.department.season, index));
            let is_repriced = random.below(DAYS_BETWEEN_PRICES) == 0 && promotion.is_none();
            if is_repriced {
                let percent = random.between(93, 111);
                product.list_minor = rounded_price(product.list_minor * percent);
            }
            if is_repriced || promotion != product.promotion {
                product.promotion = promotion;
                product.prices_set += 1;
                let until_us = promotion.map(|promotion| PROMOTIONS[promotion].end_us(day));
                for system in systems_of(product) {
                    rows.push(price_row(product, system, day.start_us(), until_us));
                }
            }
        }
        for system in System::ALL {
            let weights = self.products.iter().map(|product| {
                let is_sold = system != System::Marketplace || product.is_listed_abroad;
                let lift = product
                    .promotion
                    .map_or(1000, |index| PROMOTIONS[index].lift);
                let season = day.demand(product.department.season);
                u64::from(is_sold) * product.popularity * season / 1000 * lift / 1000
            });
            self.demand[system.index()] = Weights::new(weights);
        }
        rows
    }
}

/// Adds the variants of one product.
fn add_family(
    parent: u32,
    count: usize,
    ranks: &[u64],
    products: &mut Vec<Product>,
    random: &mut Random,
) {
    let sizes = DEPARTMENTS.each_ref().map(|department| department.size);
    let department = &DEPARTMENTS[random.weighted(&sizes)];
    let (goods, lowest, highest) = *random.pick(department.goods);
    let title = format!("{} {goods}", random.pick(department.materials));
    let brand = *random.pick(&BRANDS);
    let list_minor = rounded_price(random.between(lowest * 100, highest * 100) * 100);
    let variants = 1 + random.index(department.variants.len().min(4));
    let first = random.index(department.variants.len());
    for variant in 0..variants {
        let index = products.len();
        if index == count {
            return;
        }
        let position = (first + variant) % department.variants.len();
        let ean_body = format!("871234{:06}", 100_000 + index);
        let ean = format!("{ean_body}{}", check_digit(&ean_body));
        products.push(Product {
            sku: format!("{}-{parent:04}-{}", department.code, position + 1),
            gtin: format!("0{ean}"),
            ids: [
                format!("{}", 40_001_000 + index),
                ean,
                format!("B0{:08}", 7_000_000 + index * 37),
            ],
            parent,
            title: title.clone(),
            variant_title: department.variants[position],
            brand,
            department,
            list_minor,
            prices_set: 0,
            promotion: None,
            popularity: 10_000_000 / (ranks[index] + HEAD_RANKS),
            is_listed_abroad: random.chance(600),
        });
    }
}

fn systems_of(product: &Product) -> impl Iterator<Item = System> + use<> {
    let is_listed_abroad = product.is_listed_abroad;
    let sells = move |system: &System| *system != System::Marketplace || is_listed_abroad;
    System::ALL.into_iter().filter(sells)
}

fn product_row(product: &Product, index: usize, system: System) -> Row {
    let id = product.id(system);
    let created_us = START_US - (30 + index as i64 % 700) * DAY_US;
    let envelope = Envelope {
        system,
        event_id: format!("product/{id}/1"),
        version: 1,
        occurred_us: START_US,
    };
    let has_parent = system == System::Webshop;
    Row::new(Table::Products, envelope)
        .with("product_id", id)
        .with(
            "parent_product_id",
            has_parent.then(|| format!("{}", 30_000 + product.parent)),
        )
        .with("sku", &product.sku)
        .with("gtin", &product.gtin)
        .with("title", &product.title)
        .with("variant_title", product.variant_title)
        .with("brand", product.brand)
        .with("category", product.department.category)
        .with("unit_of_measure", "C62")
        .with("status", "active")
        .time("created_at", created_us)
}

fn price_row(product: &Product, system: System, from_us: i64, until_us: Option<i64>) -> Row {
    let id = product.id(system);
    let envelope = Envelope {
        system,
        event_id: format!("price/{id}/{}", product.prices_set),
        version: product.prices_set,
        occurred_us: from_us,
    };
    let row = Row::new(Table::Prices, envelope)
        .with("product_id", id)
        .with("channel", "all")
        .with("customer_group", "all")
        .time("valid_from", from_us);
    let row = match until_us {
        Some(until_us) => row.time("valid_to", until_us),
        None => row,
    };
    let row = row
        .with("currency", system.currency())
        .unit_price("unit_price", product.price_minor(system));
    match product.promotion {
        Some(promotion) => row
            .unit_price("compare_at_unit_price", product.list_price_minor(system))
            .with("promotion_id", PROMOTIONS[promotion].name),
        None => row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promotions_lower_prices_and_raise_demand() {
        let mut catalogue = Catalogue::new(1, 1000);
        let mut random = Random::new(1, 2);
        assert_eq!(catalogue.products.len(), 420);
        catalogue.open(Day(100), &mut random);
        let in_sale = |product: &&Product| product.promotion.is_some();
        let product = catalogue
            .products
            .iter()
            .find(in_sale)
            .expect("garden weeks");
        let (price, list) = (product.price_minor(System::Tills), product.list_minor);
        assert!(price < list * 88 / 100, "{price} of {list}");
        let rows = catalogue.open(Day(111), &mut random);
        assert!(catalogue.products.iter().all(|p| p.promotion.is_none()));
        assert!(rows.len() > 50, "{}", rows.len());
    }

    #[test]
    fn few_products_make_most_of_the_demand() {
        let mut catalogue = Catalogue::new(5, 1000);
        catalogue.open(Day(140), &mut Random::new(1, 2));
        let demand = catalogue.demand(System::Webshop);
        let mut weights: Vec<u64> = (0..420).map(|index| demand.of(index)).collect();
        weights.sort_unstable_by(|a, b| b.cmp(a));
        let head: u64 = weights.iter().take(84).sum();
        assert!(head * 100 / demand.total() > 55);
    }
}
