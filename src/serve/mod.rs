//! Serving: the Postgres wire protocol for tools and drivers, HTTP for programs, queries by name.
//!
//! Both speak to the engine through sessions and hold no state of their own beyond a connection.

pub mod format;
pub mod http;
mod http_connection;
mod metrics;
pub mod named_query;
pub mod pgwire;
pub mod restoring;
