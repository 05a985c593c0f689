//! The one integration-test binary: linking DataFusion once is enough.

mod backup;
mod bench;
mod clients;
mod consistency;
mod demo;
mod durability;
mod engine;
mod formats;
mod functions;
mod generator;
mod house;
mod kill;
mod operations;
mod oracle;
mod plans;
mod readme;
mod real_data;
mod row_errors;
mod serve;
mod slt;
mod subscribe;
mod time;
mod tools;
mod tpch;
mod transfers;
mod wire;
