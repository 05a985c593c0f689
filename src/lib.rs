//! Mainstem: a data backbone for unified commerce.
//!
//! Events from every system go into one durable log, in one standard model; SQL views over it are
//! kept up to date by differential dataflow on Arrow columns; every reader sees all views at one
//! moment. The modules stand in the order of an event's path: a module may use those above it in
//! this list and never those below. `ARCHITECTURE.md` tells the journey.

// The versions that Mainstem's own types are made of, for those who embed it.
pub use {arrow, datafusion};

pub mod model;

pub mod log;

pub mod sql;

pub mod dataflow;

pub mod view;

pub mod snapshot;

pub mod engine;

pub mod source;

pub mod config;

pub mod serve;

pub mod bench;

pub mod cli;
