//! Prices: what a unit of a product costs, where, for whom and since when.

use crate::model::builder::Kind::{Text, Time, UnitPrice};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

pub(super) fn prices() -> TableDefinition {
    TableBuilder::keyed(
        "prices",
        "One price of a product from one moment on; keyed by that moment too, so that the history \
         of prices stays and a correction replaces what it corrects.",
    )
    .key(
        "product_id",
        Text,
        "The source's id of the product variant; see products.",
    )
    .key(
        "channel",
        Text,
        "The channel it holds for; `all` for every one.",
    )
    .key(
        "customer_group",
        Text,
        "The group of customers it holds for, as wholesale; `all` for everyone.",
    )
    .key("valid_from", Time, "From when it holds.")
    .optional(
        "valid_to",
        Time,
        "Until when it holds, exclusive; NULL: until the next one.",
    )
    .currency()
    .required(
        "unit_price",
        UnitPrice,
        "Price of one unit in major units of the currency.",
    )
    .optional(
        "compare_at_unit_price",
        UnitPrice,
        "The price it is shown against during a promotion.",
    )
    .optional("promotion_id", Text, "The promotion it belongs to.")
    .build()
}
