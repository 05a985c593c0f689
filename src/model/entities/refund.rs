//! Refunds booked against an order, and the goods they are for.
//!
//! A refund's lines need not make up its amount: shipping and goodwill are refunded without goods.

use crate::model::builder::Kind::{Flag, Minor, Quantity, Text, Time};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

pub(super) fn refunds() -> TableDefinition {
    TableBuilder::keyed(
        "refunds",
        "One refund against an order, in its current state; keyed, because a pending refund \
         succeeds or fails later. Returns booked as negative orders are not repeated here.",
    )
    .key("refund_id", Text, "The source's id of the refund.")
    .optional(
        "order_id",
        Text,
        "The order refunded; NULL where the source doesn't know it.",
    )
    .required("refunded_at", Time, "When the money went back, or will.")
    .required(
        "status",
        Text,
        "pending, succeeded or failed; a failed refund gives nothing back.",
    )
    .optional("reason", Text, "Why, in the source's words.")
    .currency()
    .required(
        "amount_minor",
        Minor,
        "All money given back, positive; the lines' amounts are contained in it.",
    )
    .test_marker()
    .build()
}

pub(super) fn refund_lines() -> TableDefinition {
    TableBuilder::keyed(
        "refund_lines",
        "The part of a refund that is for one order line; a table of its own, because which goods \
         come back is asked by product and one refund may have many.",
    )
    .key(
        "refund_id",
        Text,
        "The source's id of the refund; see refunds.",
    )
    .key(
        "refund_line_id",
        Text,
        "The source's id of the line within the refund.",
    )
    .optional("order_id", Text, "The order of the line refunded.")
    .optional("line_id", Text, "The order line refunded; see order_lines.")
    .optional(
        "product_id",
        Text,
        "The source's id of the product variant.",
    )
    .required(
        "quantity",
        Quantity,
        "Units taken back, positive; 0 where money is returned and goods are kept.",
    )
    .currency()
    .required(
        "amount_minor",
        Minor,
        "Money given back for the line, positive.",
    )
    .optional("is_restocked", Flag, "Whether the goods can be sold again.")
    .optional(
        "location_id",
        Text,
        "Where the goods came back to; see locations.",
    )
    .build()
}
