//! Customers as a source sees them, and what they can be recognised by.
//!
//! No table here is a person: the shop, the till and the marketplace each have their own customer,
//! and joining them is identity resolution's work, for which `customer_identifiers` is the input.

use crate::model::builder::Kind::{Flag, Text, Time};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

pub(super) fn customers() -> TableDefinition {
    TableBuilder::keyed(
        "customers",
        "One customer account as one source sees it; the same person may have one in each source.",
    )
    .key("customer_id", Text, "The source's id of the customer.")
    .optional("first_name", Text, "Given name, as the source has it.")
    .optional("last_name", Text, "Family name, as the source has it.")
    .optional("company", Text, "Company name of business customers.")
    .optional("email", Text, "E-mail address, as the source has it.")
    .optional("phone", Text, "Telephone number, as the source has it.")
    .optional(
        "country_code",
        Text,
        "Country of the main address: ISO 3166-1 alpha-2.",
    )
    .optional(
        "region_code",
        Text,
        "State, province or nation of the main address: ISO 3166-2 with the country, as US-CA.",
    )
    .optional("city", Text, "City of the main address.")
    .optional("postal_code", Text, "Postal code of the main address.")
    .optional("language", Text, "Preferred language: BCP 47, as en-GB.")
    .optional(
        "accepts_marketing",
        Flag,
        "Whether the customer agreed to marketing messages; NULL: never asked.",
    )
    .optional("created_at", Time, "When the account was opened.")
    .test_marker()
    .build()
}

pub(super) fn customer_identifiers() -> TableDefinition {
    TableBuilder::keyed(
        "customer_identifiers",
        "One identifier by which a source knows one of its customers; keyed, because an \
         identifier can be verified, and taken away again.",
    )
    .key("customer_id", Text, "The source's id of the customer.")
    .key(
        "identifier_type",
        Text,
        "What kind of identifier: email, phone, loyalty, device, cookie, external.",
    )
    .key(
        "identifier_value",
        Text,
        "The identifier in the form that is compared: e-mail in lower case and trimmed, \
         telephone in E.164, others as they are.",
    )
    .optional(
        "raw_value",
        Text,
        "The identifier as the source wrote it, where that differs.",
    )
    .optional(
        "is_verified",
        Flag,
        "Whether the customer proved to own it (confirmed e-mail, card at the till).",
    )
    .optional("first_seen_at", Time, "When the source first saw it.")
    .build()
}
