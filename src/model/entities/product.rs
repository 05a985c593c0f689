//! Products: what can be sold.

use crate::model::builder::Kind::{Text, Time};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

pub(super) fn products() -> TableDefinition {
    TableBuilder::keyed(
        "products",
        "One sellable variant of a product, as one source describes it now; keyed, because \
         descriptions change.",
    )
    .key("product_id", Text, "The source's id of the variant.")
    .optional(
        "parent_product_id",
        Text,
        "The source's id of the product whose variant this is.",
    )
    .optional(
        "sku",
        Text,
        "Stock keeping unit: the merchant's own id, common to systems.",
    )
    .optional(
        "gtin",
        Text,
        "GS1 trade item number, 14 digits padded with zeros, check digit included.",
    )
    .optional(
        "inventory_item_id",
        Text,
        "The id under which the source keeps stock of it, where that differs (Shopify inventory \
         item, Amazon FNSKU).",
    )
    .optional("title", Text, "Name of the product.")
    .optional(
        "variant_title",
        Text,
        "What sets the variant apart, as size and colour.",
    )
    .optional("brand", Text, "Brand.")
    .optional(
        "category",
        Text,
        "Path in the merchant's categories from wide to narrow, as Home > Kitchen > Mugs.",
    )
    .optional(
        "unit_of_measure",
        Text,
        "What a quantity of 1 is: UN/ECE Recommendation 20 code, as C62 (piece), KGM, MTR; NULL: \
         piece.",
    )
    .optional("status", Text, "active, draft or archived.")
    .optional("created_at", Time, "When the product was created.")
    .build()
}
