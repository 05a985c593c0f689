//! Texts that stand for values of other types, and values as texts, as Postgres has them.
//!
//! Reading: `written_values` reads a text as a value of any type, with `written_bytes`,
//! `written_times`, `written_intervals` and `written_lists` for what Arrow reads otherwise; `readable`
//! writes times and decimals as Arrow reads them. Where a query's texts are read at all is for `forms`
//! and `operators` to say. `cast_texts` reads those of columns, in the place of casts to lists,
//! intervals, times and decimals.
//!
//! Writing: `list_text`, `interval_text`, `time_texts` (the casts to text of all times and lists, found
//! among the optimiser's rules). By the patterns of `to_char` and its like: `time_pattern` translates what
//! `strftime` knows, `time_format` and `number_format` write the rest.

pub(super) mod cast_texts;
pub(super) mod interval_text;
pub mod list_text;
mod number_format;
pub mod readable;
mod time_format;
pub(super) mod time_pattern;
pub mod time_texts;
pub mod written_bytes;
pub(super) mod written_intervals;
pub(super) mod written_lists;
pub mod written_times;
pub(super) mod written_values;
