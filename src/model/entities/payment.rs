//! Payments: money that came, or was promised, for an order.

use crate::model::builder::Kind::{Minor, Text, Time};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

pub(super) fn payments() -> TableDefinition {
    TableBuilder::keyed(
        "payments",
        "One payment (tender) in its current state; keyed, because an authorised payment is \
         captured, voided or disputed later. An order may have several.",
    )
    .key("payment_id", Text, "The source's id of the payment.")
    .optional(
        "order_id",
        Text,
        "The order paid for; NULL where the payment system doesn't know it.",
    )
    .required(
        "method",
        Text,
        "How it was paid: card, cash, wallet, bank_transfer, invoice, gift_card, or the source's \
         word.",
    )
    .required(
        "status",
        Text,
        "authorised, captured, failed, voided or disputed; only captured money has come.",
    )
    .currency()
    .required("amount_minor", Minor, "The amount, positive.")
    .optional("captured_at", Time, "When the money was taken.")
    .optional("provider", Text, "The payment service, as stripe.")
    .optional(
        "provider_reference",
        Text,
        "The payment service's own id, by which its reports are matched.",
    )
    .test_marker()
    .build()
}
