//! Interactions: what people do before, beside and after buying.

use crate::model::builder::Kind::{Minor, Quantity, Text};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

pub(super) fn interactions() -> TableDefinition {
    TableBuilder::fact(
        "interactions",
        "One thing a visitor or customer did; append-only, because it has happened and no later \
         event changes it.",
    )
    .required(
        "interaction_type",
        Text,
        "view_item, view_list, search, add_to_cart, remove_from_cart, begin_checkout, \
         add_to_wishlist, email_open, email_click, review, or the source's word (names as in GA4 \
         where it has one).",
    )
    .required(
        "channel",
        Text,
        "Where: web, app, pos, email, marketplace, or the source's word.",
    )
    .optional("session_id", Text, "The visit it belongs to.")
    .optional(
        "customer_id",
        Text,
        "The source's id of the customer, if logged in.",
    )
    .optional(
        "anonymous_id",
        Text,
        "Device or cookie by which the source recognises a visitor (Segment `anonymousId`).",
    )
    .optional(
        "product_id",
        Text,
        "The source's id of the product variant.",
    )
    .optional("location_id", Text, "The shop, where it happened in one.")
    .optional("order_id", Text, "The order it led to or is about.")
    .optional("search_text", Text, "What was searched for.")
    .optional("quantity", Quantity, "Units, as put into the cart.")
    .optional(
        "value_minor",
        Minor,
        "Value the source gives it, without tax and shipping.",
    )
    .optional(
        "currency",
        Text,
        "Currency of value_minor: ISO 4217 code of three capitals.",
    )
    .optional(
        "campaign",
        Text,
        "Marketing campaign it came from (UTM campaign).",
    )
    .optional("referrer", Text, "Address of the page it came from.")
    .test_marker()
    .build()
}
