//! Measurement: what `mainstem bench` runs.
//!
//! A [`Workload`] goes through a whole [`Engine`](crate::engine::Engine), log and views included.
//! What is measured becomes a [`Report`]: figures and curves, printed as a table, kept as JSON,
//! shown as a page, compared with another. At the end of each run every view is [`check`]ed
//! against DataFusion's answer over the same tables, outside of what is timed.

mod bed;
mod check;
mod compare;
mod error;
mod export;
mod growth;
mod histogram;
mod html;
mod idle;
mod ingest;
mod kept;
mod latency;
mod lookups;
mod machine;
mod memory;
mod nexmark;
mod operators;
mod plot;
mod queries;
mod reads;
mod report;
mod retail;
mod throughput;
mod tpch;
mod workload;

pub use bed::Place;
pub use compare::compare;
pub use error::BenchError;
pub use export::export;
pub use growth::Growth;
pub use html::page;
pub use idle::Idle;
pub use ingest::Ingest;
pub use latency::{Arrivals, Latency};
pub use machine::{peak_memory_bytes, resident_bytes};
pub use memory::Memory;
pub use nexmark::nexmark;
pub use operators::operators;
pub use queries::queries;
pub use reads::Reads;
pub use report::{Better, Figure, Report};
pub use retail::retail;
pub use throughput::Throughput;
pub use tpch::tpch;
pub use workload::{Begin, Transactions, Workload};
