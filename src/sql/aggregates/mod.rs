//! Aggregate and window functions: those that DataFusion computes otherwise than Postgres or not at
//! all, and what they are given.
//!
//! On the plan, in their order: `interval_order` (with `interval_elements`, `interval_extremes` and
//! `interval_groups`), `peer_frames`, `filtered_arguments`. Among the optimiser's rules: `checked_sums` (with `wide_sums` and
//! `distinct_in_frame`) and `interval_sums`. `quantile` tells where in a group a percentile is. The
//! others are functions that [`session_state`](super::session_state) registers.

pub(super) mod checked_sums;
mod distinct_in_frame;
pub mod extremes;
pub(super) mod filtered_arguments;
mod interval_elements;
mod interval_extremes;
pub(super) mod interval_groups;
pub(super) mod interval_order;
pub(super) mod interval_sums;
pub mod mode;
pub(super) mod peer_frames;
pub(super) mod percentile_disc;
pub mod quantile;
pub(super) mod sorting_aggregates;
pub mod wide_sums;
