//! Orders and their lines: what was agreed to be sold, and what was handed back as a transaction.
//!
//! Systems differ in how they book a return. Tills and ERP systems write a transaction of its own
//! with negative lines; shop systems write a refund against the order. Both are kept as they are:
//! the first here (negative quantity), the second in `refunds`. A source must never write the same
//! return in both places; views then simply add the two up.

use crate::model::builder::Kind::{Minor, Quantity, Text, Time, UnitPrice};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

pub(super) fn orders() -> TableDefinition {
    TableBuilder::keyed(
        "orders",
        "One order, till receipt, invoice or credit note in its current state; keyed, because its \
         status, customer and totals change.",
    )
    .key("order_id", Text, "The source's id of the order.")
    .optional("order_number", Text, "The number people use, as #1017.")
    .optional(
        "customer_id",
        Text,
        "The source's id of the customer; NULL for guests and anonymous till sales.",
    )
    .required(
        "channel",
        Text,
        "Where it was sold: web, app, pos, marketplace, phone, wholesale, or the source's word.",
    )
    .optional(
        "location_id",
        Text,
        "The shop that sold it, or the place that fulfils it; see locations.",
    )
    .required("placed_at", Time, "When the customer placed it.")
    .required(
        "status",
        Text,
        "placed, paid, fulfilled, closed or cancelled. The lines of a cancelled order are no \
         sales; a credit note is an order with negative lines, not a cancelled one.",
    )
    .optional("cancelled_at", Time, "When it was cancelled.")
    .optional(
        "cancel_reason",
        Text,
        "Why it was cancelled, in the source's words.",
    )
    .currency()
    .optional(
        "discount_minor",
        Minor,
        "Discounts on the whole order, positive; not contained in the lines.",
    )
    .optional(
        "shipping_minor",
        Minor,
        "Shipping charged beside the lines.",
    )
    .optional(
        "tax_minor",
        Minor,
        "All taxes of the order, contained in total_minor.",
    )
    .optional("tip_minor", Minor, "Tip, contained in total_minor.")
    .optional(
        "total_minor",
        Minor,
        "What the customer owes in all, tax included; NULL where the source only has lines.",
    )
    .optional(
        "coupon_code",
        Text,
        "The coupon used; several are joined by a comma.",
    )
    .optional(
        "email",
        Text,
        "E-mail address given with the order (guests have one too).",
    )
    .optional("phone", Text, "Telephone number given with the order.")
    .optional(
        "ship_to_country_code",
        Text,
        "Country of delivery, or of the shop: ISO 3166-1 alpha-2.",
    )
    .optional(
        "ship_to_region_code",
        Text,
        "Region of delivery: ISO 3166-2.",
    )
    .optional("ship_to_postal_code", Text, "Postal code of delivery.")
    .test_marker()
    .build()
}

pub(super) fn order_lines() -> TableDefinition {
    TableBuilder::keyed(
        "order_lines",
        "One line of an order in its current state; keyed, because quantities are changed and \
         lines removed after the order was placed.",
    )
    .key(
        "order_id",
        Text,
        "The source's id of the order; see orders.",
    )
    .key(
        "line_id",
        Text,
        "The source's id of the line within the order; its position where there is none. Two \
         equal lines of an order are two lines.",
    )
    .required(
        "line_type",
        Text,
        "What is charged: product, shipping, fee, discount or adjustment (a booking without a \
         sale, as a write-off). Only product lines count as items and units.",
    )
    .optional(
        "product_id",
        Text,
        "The source's id of the product variant; see products. NULL for what is no product.",
    )
    .optional("sku", Text, "Stock keeping unit as on the line.")
    .optional("title", Text, "The line's text as the customer saw it.")
    .required(
        "quantity",
        Quantity,
        "Units, in the product's unit of measure; negative where goods were handed back.",
    )
    .required(
        "unit_price",
        UnitPrice,
        "Price of one unit before line discounts, in major units of the currency; exact also \
         below the smallest coin.",
    )
    .currency()
    .optional("discount_minor", Minor, "Discounts on this line, positive.")
    .optional(
        "tax_minor",
        Minor,
        "Taxes of this line, contained in total_minor.",
    )
    .required(
        "total_minor",
        Minor,
        "What the line costs after its discounts; negative where money goes back. As the source \
         charged it; where a mapping computes it from quantity × unit_price, rounded half away \
         from zero, and quantity × unit_price stays the exact amount.",
    )
    .build()
}
