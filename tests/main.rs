//! The one integration-test binary: linking DataFusion once is enough.

mod engine;
mod functions;
mod house;
mod oracle;
mod plans;
mod serve;
mod tools;
