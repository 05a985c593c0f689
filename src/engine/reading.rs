//! Reading: all tables and views at one moment.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;

use super::overview::overview;
use super::{EngineError, Overview, Shared, State};
use crate::dataflow::PublishedViews;
use crate::snapshot::{LogRange, Moment};
use crate::sql::query::Relations;
use crate::sql::system::Statistics;
use crate::sql::{Catalog, SqlError};
use crate::view::{LiveView, Relation, RelationProvider, TableError, TableSnapshot};

/// How many failed rows an error message shows.
const ERRORS_SHOWN: usize = 3;

/// All tables and views as of one timestamp; immutable, and cheap to share.
#[derive(Clone)]
pub struct ReadPoint {
    timestamp_ms: u64,
    /// The transactions in it, where that is known.
    log: Option<LogRange>,
    catalog: Arc<Catalog>,
    pub(super) tables: Arc<BTreeMap<String, Arc<TableSnapshot>>>,
    pub(super) views: Arc<BTreeMap<String, Arc<LiveView>>>,
    /// Whom to ask for system tables, and what was answered: a query asks once.
    shared: Weak<Shared>,
    overview: Arc<OnceLock<Overview>>,
}

/// All rows of a table or view.
pub struct Contents {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, in no particular order.
    pub rows: Box<dyn Iterator<Item = Result<RecordBatch, EngineError>> + Send>,
}

/// Takes everything at the newest timestamp that is complete; `None` if it has moved on or the
/// catalog has changed meanwhile, and is to be taken anew.
pub(super) fn read(shared: &Shared, state: State) -> Result<Option<ReadPoint>, EngineError> {
    let published = shared.progress.read();
    let timestamp_ms = published.timestamp_ms;
    let Some(next_offset) = shared.offsets.at(timestamp_ms) else {
        return Ok(None);
    };
    let point = match read_point(state, &published, timestamp_ms) {
        Ok(point) => point,
        Err(TableError::BeforeHorizon { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(point.map(|point| ReadPoint {
        log: Some(LogRange::before(next_offset)),
        ..point
    }))
}

/// Everything at a timestamp (ms); `None` if a view is gone.
fn read_point(
    state: State,
    published: &PublishedViews,
    timestamp_ms: u64,
) -> Result<Option<ReadPoint>, TableError> {
    let mut tables = BTreeMap::new();
    for (name, reader) in state.tables.iter() {
        let snapshot = reader.snapshot(timestamp_ms)?;
        tables.insert(name.clone(), Arc::new(snapshot));
    }
    let Some(views) = live_views(&state, published, timestamp_ms) else {
        return Ok(None);
    };
    Ok(Some(ReadPoint {
        timestamp_ms,
        log: None,
        views: Arc::new(views),
        catalog: state.catalog,
        tables: Arc::new(tables),
        shared: Weak::new(),
        overview: Arc::default(),
    }))
}

/// Takes everything as of a timestamp (ms); `None` if the catalog has changed meanwhile.
pub(super) fn read_as_of(
    shared: &Shared,
    state: State,
    timestamp_ms: u64,
) -> Result<Option<ReadPoint>, EngineError> {
    let published = shared.progress.read();
    check_kept(
        shared,
        &state,
        published.since_ms,
        timestamp_ms,
        published.timestamp_ms,
    )?;
    match read_point(state, &published, timestamp_ms) {
        // It may have ceased to be kept since that was looked at.
        Err(TableError::BeforeHorizon { .. }) => Err(not_kept(shared, timestamp_ms)),
        point => Ok(point?),
    }
}

/// Refuses a timestamp (ms) that is not kept any more.
pub(super) fn not_kept(shared: &Shared, timestamp_ms: u64) -> EngineError {
    let earliest_ms = earliest(shared, &shared.state(), shared.progress.since());
    out_of_range(timestamp_ms, earliest_ms, shared.progress.completed())
}

/// Refuses a timestamp (ms) that is not kept, of which the newest is `latest_ms`.
pub(super) fn check_as_of(
    shared: &Shared,
    timestamp_ms: u64,
    latest_ms: u64,
) -> Result<(), EngineError> {
    let since_ms = shared.progress.since();
    check_kept(shared, &shared.state(), since_ms, timestamp_ms, latest_ms)
}

fn check_kept(
    shared: &Shared,
    state: &State,
    since_ms: u64,
    timestamp_ms: u64,
    latest_ms: u64,
) -> Result<(), EngineError> {
    let earliest_ms = earliest(shared, state, since_ms);
    match (earliest_ms..=latest_ms).contains(&timestamp_ms) {
        true => Ok(()),
        false => Err(out_of_range(timestamp_ms, earliest_ms, latest_ms)),
    }
}

/// The oldest timestamp (ms) at which everything can be read, where views can from one on.
fn earliest(shared: &Shared, state: &State, since_ms: u64) -> u64 {
    // Before, there were other tables and views; before opening, nobody kept anything.
    since_ms
        .max(state.catalog_timestamp_ms)
        .max(shared.recovered.timestamp_ms)
}

fn out_of_range(timestamp_ms: u64, earliest_ms: u64, latest_ms: u64) -> EngineError {
    let message = format!(
        "AS OF {timestamp_ms} can't be read: what is kept is from {earliest_ms} to {latest_ms}"
    );
    SqlError::new("22023", message)
        .with_hint("the setting `history` says how long the past is kept")
        .into()
}

/// All live views of the catalog; `None` if one has been dropped since.
fn live_views(
    state: &State,
    published: &PublishedViews,
    timestamp_ms: u64,
) -> Option<BTreeMap<String, Arc<LiveView>>> {
    let views = state.numbers.iter().map(|(name, number)| {
        let view = published.views.get(number)?.clone();
        let view = LiveView::new(view, timestamp_ms);
        Some((name.clone(), Arc::new(view)))
    });
    views.collect()
}

impl ReadPoint {
    /// A moment at which only system tables are read, so that it need not wait for views.
    pub(super) fn of_the_system(shared: &Arc<Shared>) -> ReadPoint {
        ReadPoint {
            timestamp_ms: shared.progress.completed(),
            log: None,
            catalog: Arc::default(),
            tables: Arc::default(),
            views: Arc::default(),
            shared: Arc::downgrade(shared),
            overview: Arc::default(),
        }
    }

    /// The same moment, of an engine that tells about itself.
    pub(super) fn told_by(self, shared: &Arc<Shared>) -> ReadPoint {
        ReadPoint {
            shared: Arc::downgrade(shared),
            ..self
        }
    }

    /// The timestamp (ms) that everything is read at.
    pub fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// The moment, for a snapshot of it.
    pub fn moment(&self) -> Moment {
        Moment {
            timestamp_ms: self.timestamp_ms,
            log: self.log,
        }
    }

    /// What there is.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// All rows of a table or live view.
    pub fn contents(&self, name: &str) -> Result<Contents, EngineError> {
        if let Some(table) = self.tables.get(name) {
            let failed =
                |error: arrow::error::ArrowError| super::commit::system("read a table", error);
            return Ok(Contents {
                schema: table.schema(),
                rows: Box::new(table.scan(None).map(move |rows| rows.map_err(failed))),
            });
        }
        let view = self
            .view(name)?
            .ok_or_else(|| SqlError::undefined_table(name))?;
        Ok(Contents {
            schema: Relation::schema(view.as_ref()),
            rows: Box::new(view.rows().map(Ok)),
        })
    }

    /// The rows that failed in a view, as texts.
    pub fn view_errors(&self, name: &str, limit: usize) -> Vec<String> {
        self.views
            .get(name)
            .map_or_else(Vec::new, |view| view.errors(limit))
    }

    /// A live view, unless rows of it failed: an answer without them would be wrong.
    fn view(&self, name: &str) -> Result<Option<Arc<LiveView>>, SqlError> {
        let Some(view) = self.views.get(name) else {
            return Ok(None);
        };
        let errors = view.errors(ERRORS_SHOWN);
        if errors.is_empty() {
            return Ok(Some(Arc::clone(view)));
        }
        let message = format!(
            "view \"{name}\" has rows that cannot be computed: {}",
            errors.join("; ")
        );
        Err(SqlError::new("22000", message)
            .with_hint("correct or delete these rows, or guard the expression in the view"))
    }
}

impl Relations for ReadPoint {
    fn provider(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, SqlError> {
        if let Some(table) = self.tables.get(name) {
            let relation = Arc::clone(table);
            return Ok(Some(Arc::new(RelationProvider::new(name, relation))));
        }
        let view = self.view(name)?;
        Ok(view
            .map(|view| -> Arc<dyn TableProvider> { Arc::new(RelationProvider::new(name, view)) }))
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    fn system_table(&self, name: &str) -> Result<Option<RecordBatch>, SqlError> {
        let Some(shared) = self.shared.upgrade() else {
            return Ok(None);
        };
        let overview = self.overview.get_or_init(|| overview(&shared));
        let rows = overview.system_table(name);
        rows.map_err(|error| SqlError::new("XX000", error.to_string()))
    }

    fn statistics(&self, name: &str, wants_bytes: bool) -> Statistics {
        let table = self.tables.get(name).map(|table| table.row_count());
        // An estimate will do, where the rows would have to be walked through.
        let view = || self.views.get(name)?.row_count().get_value().copied();
        let rows = table.or_else(view).unwrap_or(0);
        let bytes = wants_bytes.then(|| {
            let table = self.tables.get(name).map(|table| table.memory_bytes());
            let view = || Some(self.views.get(name)?.memory_bytes());
            table.or_else(view).unwrap_or(0)
        });
        Statistics {
            rows: rows as u64,
            bytes: bytes.unwrap_or(0),
        }
    }
}
