//! What names of columns lead to, where DataFusion takes them for another column or refuses them.
//!
//! In their order: `table_names` (before `forms`, and again behind the next), `whole_rows` (both with
//! `relation_columns`), `subqueries_in_order` and `merged_columns` on the syntax tree; then
//! `same_names` has DataFusion plan the query, with `cast_keys` before it and `doubled_columns` behind
//! it. `output_columns` finds the columns of a SELECT by position or name, for keys of all kinds;
//! `hidden_keys` are those that order rows without being shown.

mod cast_keys;
mod doubled_columns;
mod hidden_keys;
pub(super) mod merged_columns;
pub(super) mod output_columns;
mod relation_columns;
pub(super) mod same_names;
pub(super) mod subqueries_in_order;
pub(super) mod table_names;
pub(super) mod whole_rows;
