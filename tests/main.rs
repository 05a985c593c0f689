//! The one integration-test binary: linking DataFusion once is enough.

mod clients;
mod engine;
mod house;
mod oracle;
mod plans;
mod serve;
mod slt;
mod subscribe;
mod tools;
mod wire;
