//! The worker loop: one timely worker that runs the dataflows of all views.
//!
//! All workers get the same commands in the same order and so build the same dataflows. Each takes
//! its share of every transaction's rows. Several transactions are worked on at a time, each at its
//! own timestamp: see [`InFlight`].

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;

use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::Probe;
use timely::worker::Worker;

use super::arrange::Index;
use super::command::{Command, TableChange, Tables, ViewTask};
use super::fill::{self, Place};
use super::in_flight::InFlight;
use super::measure::{FlowMeasure, Measurements, WorkerMeasure};
use super::meter::Meter;
use super::output::{Progress, Publication, Share};
use super::publish::error_shape;
use super::render::{self, IndexName, Renderer};
use super::running::{Flow, RunningView, SharedIndex, import_views, publish_rows, publish_view};
use super::spine::{Idle, merge_what_is_due, merge_when_idle};
use super::touched;
use super::workers::Commands;
use crate::sql::plan::Plan;

/// A build for tests comes to grief at the rows of a table of this name, as by a fault in an
/// operator, so that it can be seen what follows.
#[cfg(debug_assertions)]
const FAULT: &str = "mainstem_fault";

/// One worker with everything it runs.
pub struct Running<'w> {
    worker: &'w mut Worker,
    progress: Arc<Progress>,
    views: BTreeMap<u64, RunningView>,
    indexes: HashMap<IndexName, SharedIndex>,
    in_flight: InFlight,
    meter: Meter,
    measurements: Arc<Measurements>,
    /// The newest question about measures that has been answered.
    answered: u64,
    /// How often views have been given up, as far as it has been heeded.
    heeded: u64,
    completed_ms: u64,
    /// The newest timestamp that has come.
    given_ms: u64,
    /// Whether a dataflow has begun since.
    has_begun: bool,
}

impl<'w> Running<'w> {
    /// A worker that runs nothing yet.
    pub fn new(
        worker: &'w mut Worker,
        progress: Arc<Progress>,
        measurements: Arc<Measurements>,
    ) -> Self {
        Running {
            meter: Meter::attach(worker),
            measurements,
            answered: 0,
            heeded: 0,
            worker,
            progress,
            views: BTreeMap::new(),
            indexes: HashMap::new(),
            in_flight: InFlight::default(),
            completed_ms: 0,
            given_ms: 0,
            has_begun: false,
        }
    }

    /// Works until told to stop, or until there is nobody left to tell.
    pub fn run(mut self, commands: &Commands) {
        loop {
            while self.in_flight.has_room() {
                match commands.try_recv() {
                    Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return self.end(),
                    Ok(command) => self.obey(command),
                    Err(TryRecvError::Empty) => break,
                }
            }
            self.measure_if_asked();
            self.end_given_up();
            if self.complete() {
                // Room for further commands, once what came is paid for.
                merge_what_is_due();
                continue;
            }
            if self.is_idle() && self.merge() {
                self.worker.step();
                continue;
            }
            // Works if there is anything to do, else sleeps until another worker's message or a
            // command comes.
            self.worker.step_or_park(None);
        }
    }

    fn obey(&mut self, command: Command) {
        let rows = command.rows();
        match command {
            Command::Create {
                view,
                timestamp_ms,
                tables,
            } => self.create(&view, timestamp_ms, &tables),
            Command::CreateSince {
                view,
                since_ms,
                newest_ms,
                tables,
                past,
            } => {
                self.catch_up();
                let mut running = self.build_view(&view, Vec::new(), since_ms);
                running.flow.given_ms = newest_ms;
                let inputs = &mut running.flow.inputs;
                fill::fill(inputs, self.place(), since_ms, &tables);
                fill::fill_past(inputs, self.place(), &past, newest_ms);
                self.insert(view.number, running);
            }
            Command::Drop { view } => {
                // Readers of the timestamps before may still look for the view.
                self.complete_all();
                self.remove(view);
            }
            Command::Commit {
                timestamp_ms,
                changes,
            } => {
                self.commit(timestamp_ms, &changes);
                self.advance(timestamp_ms, &changes);
                self.in_flight.push(timestamp_ms, rows);
            }
            Command::Stop => {}
        }
    }

    fn flows(&mut self) -> impl Iterator<Item = &mut Flow> {
        let views = self.views.values_mut().map(|view| &mut view.flow);
        views.chain(self.indexes.values_mut().map(|index| &mut index.flow))
    }

    fn commit(&mut self, timestamp_ms: u64, changes: &[TableChange]) {
        let (worker, workers) = (self.worker.index(), self.worker.peers());
        for change in changes {
            #[cfg(debug_assertions)]
            assert!(
                worker + 1 < workers || &*change.table != FAULT,
                "a fault that a test has asked for"
            );
            let updates = change.share(worker, workers, timestamp_ms);
            for flow in self.flows() {
                if let Some(input) = flow.inputs.get_mut(&change.table) {
                    input.advance_to(timestamp_ms);
                    input.send_batch(&mut updates.clone());
                }
            }
        }
    }

    /// Declares the input of a timestamp complete, where its changes touch a dataflow. Time that
    /// passes without any concerns all of them, and so does what comes after one has begun.
    fn advance(&mut self, timestamp_ms: u64, changes: &[TableChange]) {
        let has_begun = std::mem::take(&mut self.has_begun);
        let concerns_all = has_begun || changes.is_empty();
        for flow in self.flows() {
            if concerns_all || flow.watched.is_touched(changes) {
                flow.advance(timestamp_ms);
            }
        }
        self.given_ms = timestamp_ms;
    }

    /// Brings all dataflows to the newest timestamp, as one begins that may read them.
    fn catch_up(&mut self) {
        let given_ms = self.given_ms;
        for flow in self.flows().filter(|flow| flow.given_ms < given_ms) {
            flow.advance(given_ms);
        }
        self.has_begun = true;
    }

    /// Takes note of the timestamps that all dataflows have completed, and publishes; whether there
    /// were any.
    fn complete(&mut self) -> bool {
        let mut completed = None;
        while let Some(timestamp_ms) = self.in_flight.oldest() {
            if self.flows().any(|flow| flow.is_behind(timestamp_ms)) {
                break;
            }
            self.in_flight.pop();
            completed = Some(timestamp_ms);
        }
        let Some(completed_ms) = completed else {
            return false;
        };
        self.publish(completed_ms);
        self.compact(completed_ms);
        true
    }

    /// Publishes the views that have changed, as of a timestamp.
    fn publish(&mut self, completed_ms: u64) {
        let subscribed = self.progress.subscribed();
        let mut changed = Vec::new();
        for (number, view) in &mut self.views {
            let has_changed = view.rows.has_changed.take() | view.errors.has_changed.take();
            if has_changed || !view.rows.tap.is_empty() || !view.is_published {
                view.is_published = true;
                let share = Share {
                    rows: view.rows.publish(),
                    errors: view.errors.publish(),
                };
                view.errors.tap.take(self.completed_ms, completed_ms);
                let publication = Publication {
                    view: *number,
                    shape: Arc::clone(&view.shape),
                    share,
                    arranged: view.rows.tap.take(self.completed_ms, completed_ms),
                    changes: OnceCell::new(),
                };
                if subscribed.contains(number) {
                    // Made here rather than while others wait.
                    publication.changes();
                }
                changed.push(publication);
            }
        }
        let dues = self
            .flows()
            .flat_map(|flow| flow.dues.iter().map(|due| due.get()));
        let next_change_ms = dues.min().filter(|due| *due < u64::MAX);
        self.completed_ms = completed_ms;
        self.progress
            .publish(self.worker.index(), completed_ms, next_change_ms, changed);
    }

    /// Whether everything that has come is complete and published.
    fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.views.values().all(|view| view.is_published)
    }

    /// Merges a little, as there is nothing else to do, and publishes what has thereby become
    /// fewer batches; whether there was anything to merge.
    fn merge(&mut self) -> bool {
        let outcome = merge_when_idle();
        if outcome == Idle::Changed {
            for view in self.views.values_mut() {
                if view.rows.is_merged_further() || view.errors.is_merged_further() {
                    view.rows.has_changed.set(true);
                }
            }
            self.publish(self.completed_ms);
        }
        outcome != Idle::Nothing
    }

    /// Works until everything that has been taken in is complete.
    fn complete_all(&mut self) {
        while !self.in_flight.is_empty() {
            self.end_given_up();
            if !self.complete() {
                self.worker.step_or_park(None);
            }
        }
    }

    /// Ends the joins of views that are given up.
    fn end_given_up(&mut self) {
        let times = self.progress.times_given_up();
        if times == self.heeded {
            return;
        }
        self.heeded = times;
        for number in self.progress.given_up() {
            if let Some(view) = self.views.get(&number) {
                view.given_up.set();
            }
        }
    }

    fn insert(&mut self, number: u64, view: RunningView) {
        // It may have been given up before it came.
        if self.progress.given_up().contains(&number) {
            view.given_up.set();
        }
        self.views.insert(number, view);
        touched::watch(&mut self.views, &mut self.indexes);
    }

    /// Lets the history before what readers may still ask for be forgotten.
    fn compact(&mut self, completed_ms: u64) {
        let since_ms = self.progress.since();
        for view in self.views.values_mut() {
            view.compact(since_ms, completed_ms);
        }
        let since_ms = self.progress.completed();
        for index in self.indexes.values_mut() {
            index.compact(since_ms, completed_ms);
        }
    }

    fn create(&mut self, view: &ViewTask, timestamp_ms: u64, tables: &Tables) {
        self.catch_up();
        let mut indexes = Vec::new();
        for (name, plan) in render::shareable_indexes(&view.plan) {
            self.use_index(&name, &plan, view, timestamp_ms, tables);
            indexes.push(name);
        }
        let mut running = self.build_view(view, indexes, timestamp_ms);
        fill::fill(&mut running.flow.inputs, self.place(), timestamp_ms, tables);
        self.insert(view.number, running);
    }

    /// Builds the dataflow of a view.
    fn build_view(
        &mut self,
        view: &ViewTask,
        names: Vec<IndexName>,
        timestamp_ms: u64,
    ) -> RunningView {
        let worker = self.worker.index();
        let dataflow = self.worker.next_dataflow_index();
        let (views, indexes) = (&mut self.views, &mut self.indexes);
        self.worker.dataflow_named(&view.name, |scope| {
            let mut stops = Vec::new();
            let mut shared: HashMap<IndexName, Index> = HashMap::new();
            for name in &names {
                if let Some(index) = indexes.get_mut(name) {
                    let (imported, stop) = index.trace.import_core(scope, "SharedIndex");
                    shared.insert(name.clone(), imported);
                    stops.push(stop);
                }
            }
            let read = import_views(views, view, scope, &mut stops);
            let mut renderer = Renderer::new(scope, worker, timestamp_ms, &shared, read);
            let rendered = renderer.render_output(&view.plan, &view.key);
            let errors = renderer.errors();
            let mut probe = ProbeHandle::new();
            let (rows, shape) = publish_view(rendered, view, &mut probe);
            let (errors, _) = publish_rows(errors, error_shape(), &mut probe);
            let flow = Flow {
                inputs: std::mem::take(&mut renderer.inputs),
                stops,
                probe,
                dues: std::mem::take(&mut renderer.dues),
                dataflow,
                lines: std::mem::take(&mut renderer.lines),
                since_ms: timestamp_ms,
                given_ms: timestamp_ms,
                watched: Arc::default(),
            };
            RunningView {
                flow,
                shape: Arc::new(shape),
                rows,
                errors,
                indexes: names,
                reads: view.numbers_read(),
                is_published: false,
                given_up: renderer.given_up.clone(),
            }
        })
    }

    /// Takes part in a shared index, building it if it is the first to.
    fn use_index(
        &mut self,
        name: &IndexName,
        plan: &Arc<Plan>,
        view: &ViewTask,
        timestamp_ms: u64,
        tables: &Tables,
    ) {
        if let Some(index) = self.indexes.get_mut(name) {
            index.users += 1;
            return;
        }
        let worker = self.worker.index();
        let dataflow = self.worker.next_dataflow_index();
        let views = &mut self.views;
        let (mut flow, trace) = self.worker.dataflow_named("Index", |scope| {
            let mut stops = Vec::new();
            let read = import_views(views, view, scope, &mut stops);
            let shared = HashMap::new();
            let mut renderer = Renderer::new(scope, worker, timestamp_ms, &shared, read);
            let rows = renderer.render(plan);
            let columns = plan.schema.fields().len();
            let index = render::build_index(rows, name, columns);
            let probe = ProbeHandle::new();
            index.stream.probe_with(&probe);
            let flow = Flow {
                inputs: std::mem::take(&mut renderer.inputs),
                stops,
                probe,
                dues: std::mem::take(&mut renderer.dues),
                dataflow,
                lines: std::mem::take(&mut renderer.lines),
                since_ms: timestamp_ms,
                given_ms: timestamp_ms,
                watched: Arc::default(),
            };
            (flow, index.trace)
        });
        fill::fill(&mut flow.inputs, self.place(), timestamp_ms, tables);
        let index = SharedIndex {
            flow,
            trace,
            reads: view.numbers_read(),
            users: 1,
        };
        self.indexes.insert(name.clone(), index);
    }

    /// This worker's place among all.
    fn place(&self) -> Place {
        Place {
            worker: self.worker.index(),
            workers: self.worker.peers(),
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(view) = self.views.remove(&number) else {
            return;
        };
        view.flow.close();
        for name in view.indexes {
            let Some(index) = self.indexes.get_mut(&name) else {
                continue;
            };
            index.users -= 1;
            if index.users == 0
                && let Some(index) = self.indexes.remove(&name)
            {
                index.flow.close();
            }
        }
        touched::watch(&mut self.views, &mut self.indexes);
        self.progress.withdraw(number);
    }

    /// Tells what operators hold and do, if somebody wants to know.
    fn measure_if_asked(&mut self) {
        let question = self.measurements.question();
        if question == self.answered {
            return;
        }
        self.answered = question;
        Meter::catch_up(self.worker);
        let measure = |flow: &Flow, views: Vec<u64>, is_shared| FlowMeasure {
            views,
            is_shared,
            since_ms: flow.since_ms,
            operators: self.meter.operators(flow.dataflow, &flow.lines),
        };
        let own = self.views.iter();
        let own = own.map(|(number, view)| measure(&view.flow, vec![*number], false));
        let shared = self.indexes.iter().map(|(name, index)| {
            let users = self.views.iter();
            let users = users.filter(|(_, view)| view.indexes.contains(name));
            let users = users.map(|(number, _)| *number).collect();
            measure(&index.flow, users, true)
        });
        let flows = own.chain(shared).collect();
        let worker = self.worker.index();
        self.measurements
            .answer(worker, question, WorkerMeasure { flows });
    }

    /// Closes everything, so that all dataflows run dry.
    fn end(mut self) {
        for view in std::mem::take(&mut self.views).into_values() {
            view.flow.close();
        }
        for index in std::mem::take(&mut self.indexes).into_values() {
            index.flow.close();
        }
    }
}
