//! Stock: how much of what lies where, and what of it is promised.
//!
//! Each bucket is a row of its own with its own version, because different systems report them (a
//! warehouse counts, an order system reserves) and a report of one must not overwrite the others.

use crate::model::builder::Kind::{Quantity, Text};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

pub(super) fn inventory_levels() -> TableDefinition {
    TableBuilder::keyed(
        "inventory_levels",
        "The stock of one product in one bucket at one location, as last reported; keyed, because \
         every report replaces the one before.",
    )
    .key(
        "product_id",
        Text,
        "The source's id of the product variant; see products.",
    )
    .key("location_id", Text, "Where it lies; see locations.")
    .key(
        "bucket",
        Text,
        "on_hand (all sellable goods there), reserved (the part of on_hand that is promised), \
         inbound (on its way), damaged (there, not sellable, not in on_hand).",
    )
    .required(
        "quantity",
        Quantity,
        "Units in the bucket, absolute, as of occurred_at. Negative only where the source itself \
         says so (sold before it was counted).",
    )
    .optional(
        "reason",
        Text,
        "What led to the report: count, sale, return, receipt, transfer, reservation, or the \
         source's word.",
    )
    .build()
}
