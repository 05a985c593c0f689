//! What there is, as tables: `pg_catalog` and `information_schema`, by which tools find their way.
//! What Mainstem alone can tell is in [`overview`](super::overview).
//!
//! The tables are made from the catalog for each query that names them. Postgres has many more; of
//! those that a tool may ask and that can hold nothing here, an empty one stands in. [`rewrite`]
//! turns what only Postgres understands into what DataFusion does.

mod builder;
mod cast;
mod empty;
mod empty_information_schema;
mod empty_statistics;
mod facts;
mod functions;
mod information_schema;
mod pg_catalog;
mod pg_lists;
mod pg_types;
mod rewrite;
mod routines;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::Result as DataFusionResult;

pub use facts::{Facts, Settings, Statistics};
pub use functions::function;
pub use rewrite::{mentions_system, rewritten};
pub use routines::{Routine, routines};

/// The database that all connections are to, whatever name they ask for.
const DATABASE: &str = "mainstem";
const DATABASE_OID: i32 = 5;
/// The one user.
const USER: &str = "mainstem";
const USER_OID: i32 = 10;
/// The schema of all tables and views.
const PUBLIC: &str = "public";

/// A system table, if there is one of this name in the schema (or, without a schema, in
/// `pg_catalog`).
pub fn table(
    facts: &Arc<Facts>,
    schema: Option<&str>,
    name: &str,
) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
    let built = match schema {
        None | Some("pg_catalog") => pg_catalog::table(facts, name),
        Some("information_schema") => information_schema::table(facts, name),
        Some(_) => None,
    };
    built.map(builder::Built::provider).transpose()
}
