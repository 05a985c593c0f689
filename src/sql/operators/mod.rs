//! Operators whose sides are of several types or of types that DataFusion's do not know, planned as
//! in Postgres.
//!
//! Each is a planner that DataFusion asks while it plans. `untyped_texts` is asked before all others,
//! as texts take the type of what they meet (`alternatives` does this for functions such as
//! `coalesce`), and looks at the finished plan once more; it brings `lists_meet` along. The others
//! follow as [`session_state`](super::session_state) registers them: `parameters`, `interval_product`,
//! `date_hours`, `power`, those of [`decimal`](super::decimal), `comparison` (with `interval_length`),
//! `joined_text`.

pub(super) mod alternatives;
pub(super) mod comparison;
pub(super) mod date_hours;
pub(super) mod interval_length;
pub(super) mod interval_product;
pub(super) mod joined_text;
mod lists_meet;
pub(super) mod parameters;
pub(super) mod power;
pub(super) mod untyped_texts;
