//! Scalar functions: those that DataFusion does not have, or answers otherwise than Postgres.
//!
//! `scalar` and `json` are new ones, `clock` and `version` tell of the moment and of the server, and
//! `own_functions` come from the program that embeds Mainstem. `lists_by_row` takes the place of those
//! that answer a row otherwise among others than by itself, `constants` of those that answer a
//! constant otherwise than a column, `typed_series` of the one that knows no texts among times.
//! `list_elements`, `null_lists`, `null_rows` and `length_parts` make others of calls while plans are
//! analysed, as does `lists_by_row` of what `||` stands for.
//! `bounded` is registered behind all of them: it wraps what makes much of little, which `amounts`
//! reckons. `otherwise` is what those are made of that are another function but for how they are
//! computed; `call_rows` says for how many rows any of them is, and `call_column` what its arguments
//! tell of its column.

pub(super) mod amounts;
pub(super) mod bounded;
pub(super) mod call_column;
pub(super) mod call_rows;
pub(super) mod clock;
pub(super) mod constants;
pub mod json;
pub(super) mod length_parts;
pub(super) mod list_elements;
pub(super) mod lists_by_row;
pub(super) mod null_lists;
pub(super) mod null_rows;
pub(super) mod otherwise;
pub(super) mod own_functions;
pub(super) mod scalar;
pub(super) mod typed_series;
pub(super) mod version;
