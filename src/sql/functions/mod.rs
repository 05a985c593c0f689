//! Scalar functions: those that DataFusion does not have, or answers otherwise than Postgres.
//!
//! `scalar` and `json` are new ones, `clock` and `version` tell of the moment and of the server, and
//! `own_functions` come from the program that embeds Mainstem. `lists_by_row` takes the place of those
//! that answer a row otherwise among others than by itself. `list_elements`, `null_lists` and
//! `length_parts` make others of calls while plans are analysed. `bounded` is registered behind all of
//! them: it wraps what makes much of little, which `amounts` reckons.

pub(super) mod amounts;
pub(super) mod bounded;
pub(super) mod clock;
pub mod json;
pub(super) mod length_parts;
pub(super) mod list_elements;
pub(super) mod lists_by_row;
pub(super) mod null_lists;
pub(super) mod own_functions;
pub(super) mod scalar;
pub(super) mod version;
