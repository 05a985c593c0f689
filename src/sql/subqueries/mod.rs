//! Subqueries, each of which becomes a join.
//!
//! In their order: `first_rows` on the plan as DataFusion has made it; then `subquery`, which has
//! `subquery_columns` move them to where joins are made of them, `single_row` watch those that are to
//! give one row, and at last `decorrelate` join what DataFusion would join wrongly or not at all.

pub(super) mod decorrelate;
pub(super) mod first_rows;
pub(super) mod single_row;
pub(super) mod subquery;
mod subquery_columns;
