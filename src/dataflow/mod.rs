//! The dataflow: keeps views up to date, on timely workers and differential's notion of change.
//!
//! Collections are Arrow batches with a time and a count per row ([`updates`]); arrangements are
//! sorted Arrow chunks ([`chunk`]) in [`batch`]es whose history is a [`spine`]; a plan is
//! [`render`]ed to [`operator`]s; [`worker`]s run the result and [`output`] hands it to readers; the
//! [`meter`] tells what each operator holds and costs.
//! Nothing outside this module sees a type of timely or differential.

mod ahead;
mod arrange;
mod batch;
mod changes;
mod checked_sum;
mod chunk;
mod column;
mod command;
mod contribution;
mod cursor;
mod decimal_sum;
mod evaluate;
mod examined;
mod extremes;
mod fill;
mod float_sum;
mod form;
mod given_up;
mod group_changes;
mod grouping;
mod hash;
mod in_flight;
mod lane;
mod long_sum;
mod measure;
mod merge;
mod mergeable;
mod meter;
mod numbers;
mod operator;
mod order;
mod output;
mod publish;
mod read;
mod render;
mod retired;
mod running;
mod scan;
mod schedule;
mod size;
mod spine;
mod statistics;
mod subscription;
mod sums;
mod tally;
#[cfg(test)]
mod tests;
mod touched;
mod updates;
mod worker;
mod workers;

pub use changes::Lost;
pub use command::{Command, Past, TableChange, Tables, ViewTask};
pub use measure::{FlowMeasure, Held, Measurements, OperatorMeasure, WorkerMeasure};
pub use mergeable::Mergeable;
pub use output::{OutputShape, Progress, PublishedView, PublishedViews, Share};
pub use render::IndexName;
pub use render::account::{Account, Kept, account, shared_indexes};
pub use scan::Scan;
pub use subscription::Subscriber;
pub use workers::{WorkerError, Workers};
