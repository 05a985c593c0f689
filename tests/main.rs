//! The one integration-test binary: linking DataFusion once is enough.

mod engine;
mod house;
mod oracle;
mod plans;
mod row_errors;
mod serve;
mod time;
mod tools;
mod tpch;
