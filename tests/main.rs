//! The one integration-test binary: linking DataFusion once is enough.

mod backup;
mod bench;
mod consistency;
mod demo;
mod durability;
mod engine;
mod formats;
mod functions;
mod generator;
mod house;
mod kill;
mod limits;
mod operations;
mod oracle;
mod plans;
mod readme;
mod real_data;
mod row_errors;
mod serve;
mod time;
mod tools;
mod tpch;
