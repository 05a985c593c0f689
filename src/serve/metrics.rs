//! `/metrics`: what the engine counts, in the text format of Prometheus.

use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

use crate::engine::{Engine, Metrics, Overview, SYNC_BUCKETS_US};

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics at this moment.
pub fn text(engine: &Engine) -> String {
    let mut page = Page(String::new());
    figures(&mut page, engine.metrics());
    progress(&mut page, engine);
    sync_times(&mut page, engine.metrics());
    let overview = engine.overview();
    sizes(&mut page, &overview);
    views(&mut page, &overview);
    memory(&mut page, engine.metrics(), &overview);
    page.0
}

/// What is counted or measured in one place, as it stands there.
fn figures(page: &mut Page, metrics: &Metrics) {
    let figures = [
        (
            "transactions_total",
            "counter",
            "Transactions committed since the start.",
            &metrics.transactions,
        ),
        (
            "rows_total",
            "counter",
            "Rows submitted since the start.",
            &metrics.rows,
        ),
        (
            "rejected_rows_total",
            "counter",
            "Rows of sources that did not map.",
            &metrics.rejected_rows,
        ),
        (
            "log_first_offset",
            "gauge",
            "The first transaction of the log.",
            &metrics.log_first_offset,
        ),
        (
            "log_next_offset",
            "gauge",
            "The offset of the next transaction.",
            &metrics.log_next_offset,
        ),
        (
            "log_bytes",
            "gauge",
            "The size of the log.",
            &metrics.log_bytes,
        ),
        (
            "checkpoint_offset",
            "gauge",
            "The first transaction the newest checkpoint lacks.",
            &metrics.checkpoint_offset,
        ),
        (
            "checkpoint_bytes",
            "gauge",
            "The size of the newest checkpoint of this run.",
            &metrics.checkpoint_bytes,
        ),
        (
            "checkpoints_total",
            "counter",
            "Checkpoints written since the start.",
            &metrics.checkpoints,
        ),
        (
            "checkpoint_failures_total",
            "counter",
            "Checkpoints that failed.",
            &metrics.checkpoint_failures,
        ),
    ];
    for (name, kind, help, figure) in figures {
        page.one(name, kind, help, figure.load(Relaxed));
    }
}

/// How far the engine is, and what holds it up.
fn progress(page: &mut Page, engine: &Engine) {
    let metrics = engine.metrics();
    let queued = metrics.queued.load(Relaxed).max(0);
    page.one(
        "queue_depth",
        "gauge",
        "Requests that wait for the committing thread.",
        queued,
    );
    let committed_ms = metrics.committed_ms.load(Relaxed);
    let completed_ms = engine.completed_ms();
    let lag_ms = committed_ms.saturating_sub(completed_ms);
    let times = [
        (
            "committed_timestamp_seconds",
            "The newest committed timestamp.",
            committed_ms,
        ),
        (
            "completed_timestamp_seconds",
            "The newest timestamp complete in all views.",
            completed_ms,
        ),
        (
            "frontier_lag_seconds",
            "How far the views are behind what is committed.",
            lag_ms,
        ),
    ];
    for (name, help, milliseconds) in times {
        page.one(name, "gauge", help, milliseconds as f64 / 1000.0);
    }
    let is_full = u8::from(metrics.is_disk_full());
    page.one(
        "disk_full",
        "gauge",
        "1 while a nearly full disk keeps changes out.",
        is_full,
    );
}

fn sync_times(page: &mut Page, metrics: &Metrics) {
    page.head(
        "log_sync_seconds",
        "histogram",
        "How long syncs of the log took.",
    );
    let mut count = 0;
    for (index, bucket) in metrics.syncs.buckets.iter().enumerate() {
        count += bucket.load(Relaxed);
        let bound = SYNC_BUCKETS_US.get(index);
        let bound = bound.map_or("+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
        page.line(
            "log_sync_seconds_bucket",
            &format!("{{le=\"{bound}\"}}"),
            count,
        );
    }
    let sum_seconds = metrics.syncs.sum_us.load(Relaxed) as f64 / 1e6;
    page.line("log_sync_seconds_sum", "", sum_seconds);
    page.line("log_sync_seconds_count", "", count);
}

/// Rows and bytes of each table and view; there are as many lines as the catalog has names.
fn sizes(page: &mut Page, overview: &Overview) {
    let tables = overview.tables.iter();
    let tables = tables.map(|(name, size)| (labels(name, "table"), size.rows, size.bytes));
    let views = overview.views.iter();
    let views = views.map(|view| (labels(&view.name, "view"), view.rows, view.bytes));
    let relations: Vec<(String, u64, u64)> = tables.chain(views).collect();
    page.head("relation_rows", "gauge", "Rows of a table or live view.");
    for (labels, rows, _) in &relations {
        page.line("relation_rows", labels, rows);
    }
    page.head(
        "relation_bytes",
        "gauge",
        "Memory of the rows of a table or live view.",
    );
    for (labels, _, bytes) in &relations {
        page.line("relation_bytes", labels, bytes);
    }
}

fn labels(name: &str, kind: &str) -> String {
    format!("{{name=\"{}\",kind=\"{kind}\"}}", escaped(name))
}

fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// What the views keep and how long they have worked; as many lines as there are views.
fn views(page: &mut Page, overview: &Overview) {
    let label = |name: &str| format!("{{name=\"{}\"}}", escaped(name));
    page.head(
        "view_held_bytes",
        "gauge",
        "Memory of what the operators of a live view keep, its rows included.",
    );
    for view in &overview.views {
        page.line("view_held_bytes", &label(&view.name), view.held.bytes);
    }
    page.head(
        "view_busy_seconds_total",
        "counter",
        "Time that the operators of a live view have worked, all workers together.",
    );
    for view in &overview.views {
        let seconds = view.busy.as_secs_f64();
        page.line("view_busy_seconds_total", &label(&view.name), seconds);
    }
    page.head(
        "view_errors",
        "gauge",
        "Rows of a live view that cannot be computed.",
    );
    for view in &overview.views {
        page.line("view_errors", &label(&view.name), view.errors);
    }
}

fn memory(page: &mut Page, metrics: &Metrics, overview: &Overview) {
    let shared = overview.operators.iter().filter(|one| one.is_shared);
    let shared: u64 = shared.map(|one| one.measure.held.bytes).sum();
    let gauges = [
        (
            "shared_index_bytes",
            "Memory of indexes that views share.",
            shared,
        ),
        (
            "held_by_readers_bytes",
            "Memory of what only open queries and subscriptions still hold.",
            overview.held_by_readers_bytes,
        ),
        (
            "state_bytes",
            "Memory of tables, of what operators keep and of what readers hold.",
            overview.state_bytes(),
        ),
        (
            "incoming_bytes",
            "Memory of messages being received and of open transactions.",
            metrics.incoming_bytes.load(Relaxed),
        ),
        (
            "memory_budget_bytes",
            "What the state may take; 0: there is no budget.",
            metrics.budget_bytes.load(Relaxed),
        ),
    ];
    for (name, help, value) in gauges {
        page.one(name, "gauge", help, value);
    }
}

/// A page of metrics; all names begin with `mainstem_`.
struct Page(String);

impl Page {
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = write!(
            self.0,
            "# HELP mainstem_{name} {help}\n# TYPE mainstem_{name} {kind}\n"
        );
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "mainstem_{name}{labels} {value}");
    }
}
