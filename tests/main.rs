//! The one integration-test binary: linking DataFusion once is enough.

mod consistency;
mod demo;
mod engine;
mod generator;
mod house;
mod oracle;
mod plans;
mod readme;
mod real_data;
mod row_errors;
mod serve;
mod time;
mod tools;
mod tpch;
