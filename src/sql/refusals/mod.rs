//! What is refused although the parser reads it: what would take all stack or memory, what nobody
//! plans, and what DataFusion would plan as something else.
//!
//! In their order: `guard` looks at the text before it is parsed; `shape` and `construct` at the
//! syntax tree; `self_reference`, `outer_aggregate`, `grouped_aggregates` and `mixed_types` at the
//! plan, and `shape` at that once more.

pub(super) mod construct;
pub(super) mod grouped_aggregates;
pub(super) mod guard;
pub(super) mod mixed_types;
pub(super) mod outer_aggregate;
pub(super) mod self_reference;
pub(super) mod shape;
