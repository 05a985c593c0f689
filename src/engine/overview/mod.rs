//! What there is, what it holds and what it costs: the one answer behind system tables, metrics
//! and the memory budget.
//!
//! Nothing here waits for views: what is being built is told as such.

mod system_tables;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Shared, State};
use crate::dataflow::{
    FlowMeasure, Held, OperatorMeasure, PublishedView, PublishedViews, WorkerMeasure,
};
use crate::view::TableSize;

/// How long the workers are waited for; what they told before counts then.
const PATIENCE: Duration = Duration::from_millis(500);

/// All tables, views and operators, as of about one moment.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// The newest timestamp (ms) complete in all views.
    pub timestamp_ms: u64,
    /// The tables by name.
    pub tables: Vec<(String, TableSize)>,
    /// The live views by name.
    pub views: Vec<ViewOverview>,
    /// The operators of all views and shared indexes, each once per worker.
    pub operators: Vec<OperatorOverview>,
    /// The memory in bytes of what only open queries and subscriptions still hold.
    pub held_by_readers_bytes: u64,
}

/// What a live view is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewState {
    /// It answers at every timestamp that is complete.
    Complete,
    /// It is being filled for the first time.
    Building,
    /// It cannot be planned any more and does not run.
    Broken,
}

/// A live view.
#[derive(Clone, Debug)]
pub struct ViewOverview {
    /// Its name.
    pub name: String,
    /// What it is at.
    pub state: ViewState,
    /// The timestamp (ms) from which on it runs; 0 if no worker has it yet.
    pub since_ms: u64,
    /// Its rows.
    pub rows: u64,
    /// The memory of its rows in bytes, which is part of what its operators keep.
    pub bytes: u64,
    /// What its operators keep, on all workers.
    pub held: Held,
    /// What the indexes keep that it uses and that other views may use, too.
    pub shared: Held,
    /// How many operators it has.
    pub operators: u64,
    /// How long its operators have worked, on all workers together.
    pub busy: Duration,
    /// Rows that cannot be computed as of now.
    pub errors: u64,
    /// The first of these rows, or why the view does not run.
    pub problem: Option<String>,
    /// The tables and views it reads.
    pub reads: Vec<String>,
}

/// An operator on one worker.
#[derive(Clone, Debug)]
pub struct OperatorOverview {
    /// The views it works for: one, unless it belongs to an index that views share.
    pub views: Vec<String>,
    /// Whether it belongs to an index that several views may share.
    pub is_shared: bool,
    /// The worker.
    pub worker: usize,
    /// What it does and keeps.
    pub measure: OperatorMeasure,
}

impl Engine {
    /// What there is, what it holds and what it costs. Waits at most half a second for the workers and
    /// not for views.
    pub fn overview(&self) -> Overview {
        overview(&self.shared)
    }

    /// The newest timestamp (ms) that is complete in all views.
    pub fn completed_ms(&self) -> u64 {
        self.shared.progress.completed()
    }
}

impl Overview {
    /// The memory of all state in bytes: tables, what operators keep, and what readers hold.
    pub fn state_bytes(&self) -> u64 {
        let tables = self.tables.iter().map(|(_, size)| size.memory_bytes());
        let operators = self.operators.iter().map(|one| one.measure.held.bytes);
        tables.chain(operators).sum::<u64>() + self.held_by_readers_bytes
    }
}

/// What there is, what it holds and what it costs.
pub fn overview(shared: &Shared) -> Overview {
    let measures = shared.measurements.take(PATIENCE);
    let state = shared.state();
    let published = shared.progress.read();
    let tables = state.tables.iter();
    let tables = tables.map(|(name, reader)| (name.clone(), reader.size(published.timestamp_ms)));
    let names = state.numbers.iter();
    let names = names.map(|(name, number)| (*number, name.clone()));
    let operators = operators(&measures, &names.collect());
    let running = state.numbers.iter().map(|(name, number)| {
        let flows = Flows::of(&measures, *number);
        view(name, *number, &state, &published, &flows)
    });
    let broken = shared.recovered.broken_views.iter();
    let broken = broken.filter(|(name, _)| !state.catalog.contains(name));
    let broken = broken.map(|(name, reason)| ViewOverview {
        problem: Some(reason.clone()),
        ..ViewOverview::without_work(name, ViewState::Broken)
    });
    let mut views: Vec<ViewOverview> = running.chain(broken).collect();
    views.sort_by(|left, right| left.name.cmp(&right.name));
    Overview {
        timestamp_ms: published.timestamp_ms,
        tables: tables.collect(),
        views,
        operators,
        held_by_readers_bytes: shared
            .memory
            .held_by_readers(state.tables.values(), &shared.progress),
    }
}

/// The dataflows of one view, on all workers.
struct Flows<'m> {
    own: Vec<&'m FlowMeasure>,
    shared: Vec<&'m FlowMeasure>,
    workers: usize,
}

impl<'m> Flows<'m> {
    fn of(measures: &'m [Arc<WorkerMeasure>], view: u64) -> Flows<'m> {
        let flows = measures.iter().flat_map(|worker| &worker.flows);
        let flows = flows.filter(|flow| flow.views.contains(&view));
        let (shared, own) = flows.partition(|flow| flow.is_shared);
        Flows {
            own,
            shared,
            workers: measures.len(),
        }
    }

    /// The timestamp (ms) from which on all workers have the view.
    fn since_ms(&self) -> Option<u64> {
        let is_everywhere = self.own.len() == self.workers;
        let since_ms = self.own.iter().map(|flow| flow.since_ms).max();
        since_ms.filter(|_| is_everywhere)
    }
}

fn held(flows: &[&FlowMeasure]) -> Held {
    let flows = flows.iter();
    flows.fold(Held::default(), |sum, flow| sum.plus(flow.held()))
}

fn view(
    name: &str,
    number: u64,
    state: &State,
    published: &PublishedViews,
    flows: &Flows<'_>,
) -> ViewOverview {
    let timestamp_ms = published.timestamp_ms;
    let is_complete = flows
        .since_ms()
        .is_some_and(|since_ms| since_ms <= timestamp_ms);
    let rows = published.views.get(&number).filter(|_| is_complete);
    let errors = rows.map_or_else(Vec::new, |view| view.errors(timestamp_ms, usize::MAX));
    let operators = flows.own.iter().flat_map(|flow| &flow.operators);
    let definition = state.catalog.live_views.get(name);
    ViewOverview {
        since_ms: flows.since_ms().unwrap_or(0),
        rows: rows.map_or(0, |view| view.row_count(timestamp_ms) as u64),
        bytes: rows.map_or(0, PublishedView::memory_bytes),
        held: held(&flows.own),
        shared: held(&flows.shared),
        operators: flows.own.first().map_or(0, |flow| flow.operators.len()) as u64,
        busy: operators.map(|operator| operator.busy).sum(),
        errors: errors.len() as u64,
        problem: errors.into_iter().next(),
        reads: definition.map_or_else(Vec::new, |view| view.inputs.clone()),
        ..ViewOverview::without_work(
            name,
            match is_complete {
                true => ViewState::Complete,
                false => ViewState::Building,
            },
        )
    }
}

impl ViewOverview {
    fn without_work(name: &str, state: ViewState) -> ViewOverview {
        ViewOverview {
            name: name.to_owned(),
            state,
            since_ms: 0,
            rows: 0,
            bytes: 0,
            held: Held::default(),
            shared: Held::default(),
            operators: 0,
            busy: Duration::ZERO,
            errors: 0,
            problem: None,
            reads: Vec::new(),
        }
    }
}

fn operators(
    measures: &[Arc<WorkerMeasure>],
    names: &BTreeMap<u64, String>,
) -> Vec<OperatorOverview> {
    let mut operators = Vec::new();
    for (worker, measure) in measures.iter().enumerate() {
        for flow in &measure.flows {
            let views = flow.views.iter().filter_map(|view| names.get(view));
            let mut views: Vec<String> = views.cloned().collect();
            views.sort();
            operators.extend(flow.operators.iter().map(|operator| OperatorOverview {
                views: views.clone(),
                is_shared: flow.is_shared,
                worker,
                measure: operator.clone(),
            }));
        }
    }
    operators
}
