//! What a worker runs: the dataflows of views and of the indexes that they share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use differential_dataflow::trace::TraceReader;
use timely::dataflow::{ProbeHandle, Scope};
use timely::progress::Antichain;

use super::arrange::{Changes, Trace};
use super::command::ViewTask;
use super::given_up::GivenUp;
use super::meter::Lines;
use super::operator::origin::with_origin;
use super::operator::temporal::Due;
use super::output::OutputShape;
use super::publish::{Output, Stop, error_shape};
use super::render::output::Rendered;
use super::render::{IndexName, TableInput};
use super::touched::Watched;

/// A dataflow's entries and its progress.
pub struct Flow {
    pub inputs: HashMap<Arc<str>, TableInput>,
    pub stops: Vec<Stop>,
    pub probe: ProbeHandle<u64>,
    pub dues: Vec<Due>,
    /// The number of the dataflow on this worker.
    pub dataflow: usize,
    pub lines: Lines,
    pub since_ms: u64,
    /// The newest timestamp that it has been told of.
    pub given_ms: u64,
    pub watched: Arc<Watched>,
}

/// A view that is kept up to date.
pub struct RunningView {
    pub flow: Flow,
    pub shape: Arc<OutputShape>,
    pub rows: Output,
    pub errors: Output,
    pub indexes: Vec<IndexName>,
    /// The views it reads.
    pub reads: Vec<u64>,
    pub is_published: bool,
    pub given_up: GivenUp,
}

/// An index that several views read.
pub struct SharedIndex {
    pub flow: Flow,
    pub trace: Trace,
    /// The views it reads.
    pub reads: Vec<u64>,
    pub users: usize,
}

impl Flow {
    /// Declares its entries complete up to a timestamp.
    pub fn advance(&mut self, timestamp_ms: u64) {
        for input in self.inputs.values_mut() {
            input.advance_to(timestamp_ms + 1);
        }
        self.given_ms = timestamp_ms;
    }

    /// Whether it has still to work on a timestamp, or on what it has been told of before.
    pub fn is_behind(&self, timestamp_ms: u64) -> bool {
        self.probe.less_equal(&timestamp_ms.min(self.given_ms))
    }

    /// Lets the history of one of its arrangements be forgotten before `since_ms`, and what is
    /// complete at `completed_ms` be merged; not beyond what it has been told of.
    fn compact(&self, trace: &mut Trace, since_ms: u64, completed_ms: u64) {
        let since = Antichain::from_elem(since_ms.min(self.given_ms));
        let upper = Antichain::from_elem(completed_ms.min(self.given_ms) + 1);
        trace.set_logical_compaction(since.borrow());
        trace.set_physical_compaction(upper.borrow());
    }

    /// Lets go of what it reads, so that it ends once its entries are closed.
    pub fn close(mut self) {
        for stop in &mut self.stops {
            stop.press();
        }
    }
}

impl RunningView {
    /// See [`Flow::compact`].
    pub fn compact(&mut self, since_ms: u64, completed_ms: u64) {
        for output in [&mut self.rows, &mut self.errors] {
            self.flow.compact(&mut output.trace, since_ms, completed_ms);
        }
    }
}

impl SharedIndex {
    /// See [`Flow::compact`].
    pub fn compact(&mut self, since_ms: u64, completed_ms: u64) {
        self.flow.compact(&mut self.trace, since_ms, completed_ms);
    }
}

/// Publishes what has been rendered for a view.
pub fn publish_view(
    rendered: Rendered<'_>,
    view: &ViewTask,
    probe: &mut ProbeHandle<u64>,
) -> (Output, OutputShape) {
    let schema = Arc::clone(&view.plan.schema);
    match rendered {
        Rendered::Rows(rows) => publish_rows(rows, OutputShape::new(schema, &view.key), probe),
        Rendered::Groups(groups) => {
            let shape = OutputShape::grouped(schema, groups.key, groups.grouping);
            (Output::of(groups.index, probe), shape)
        }
    }
}

/// Publishes rows.
pub fn publish_rows(
    rows: Changes<'_>,
    shape: OutputShape,
    probe: &mut ProbeHandle<u64>,
) -> (Output, OutputShape) {
    let layout = OutputShape::layout(&shape.schema, &shape.key);
    (Output::new(rows, layout, probe), shape)
}

/// The rows and errors of the views that a view reads.
pub fn import_views<'scope>(
    views: &mut BTreeMap<u64, RunningView>,
    reader: &ViewTask,
    scope: Scope<'scope, u64>,
    stops: &mut Vec<Stop>,
) -> HashMap<Arc<str>, (Changes<'scope>, Changes<'scope>)> {
    let mut imported = HashMap::new();
    for (name, number) in &reader.reads {
        let Some(view) = views.get_mut(number) else {
            continue;
        };
        let (rows, stop) = view.rows.import(scope, &view.shape);
        stops.push(stop);
        let (errors, stop) = view.errors.import(scope, &error_shape());
        stops.push(stop);
        let errors = with_origin(errors, Arc::clone(name));
        imported.insert(Arc::clone(name), (rows, errors));
    }
    imported
}
