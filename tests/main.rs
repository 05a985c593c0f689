//! The one integration-test binary: linking DataFusion once is enough.

mod consistency;
mod demo;
mod engine;
mod functions;
mod generator;
mod house;
mod oracle;
mod plans;
mod readme;
mod real_data;
mod serve;
mod tools;
