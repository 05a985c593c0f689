//! Rejected events: what a source sent and the model could not take, with the reason.

use crate::model::builder::Kind::{Text, Time};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

/// The table that takes the rows which could not be mapped.
pub const REJECTED_EVENTS: &str = "rejected_events";

pub(super) fn rejected_events() -> TableDefinition {
    TableBuilder::record(
        REJECTED_EVENTS,
        "One row of a source that did not map to a table; written by the engine, append-only, and \
         known by its place, so that a repeated delivery is not rejected twice.",
    )
    .identity(
        "position",
        Text,
        "Where in the source it stands: for files, name and row number.",
    )
    .identity(
        "target_table",
        Text,
        "The table it was meant for; empty where it could not be read at all.",
    )
    .required("reason", Text, "What is wrong with it, in words.")
    .required("raw_text", Text, "What the source sent, as text.")
    .required("recorded_at", Time, "When the engine rejected it.")
    .build()
}
