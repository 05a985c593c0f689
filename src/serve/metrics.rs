//! `/metrics`: what the engine counts, in the text format of Prometheus.

use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

use crate::engine::{Engine, EngineError, Metrics, RelationSize, SYNC_BUCKETS_US};

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics at this moment.
///
/// # Errors
/// If the engine cannot be read.
pub fn text(engine: &Engine) -> Result<String, EngineError> {
    let mut page = Page(String::new());
    work(&mut page, engine);
    log(&mut page, engine.metrics());
    sync_times(&mut page, engine.metrics());
    sizes(&mut page, &engine.sizes()?);
    Ok(page.0)
}

fn work(page: &mut Page, engine: &Engine) {
    let metrics = engine.metrics();
    let counters = [
        (
            "transactions_total",
            "Transactions committed since the start.",
            &metrics.transactions,
        ),
        (
            "rows_total",
            "Rows submitted since the start.",
            &metrics.rows,
        ),
        (
            "rejected_rows_total",
            "Rows of sources that did not map.",
            &metrics.rejected_rows,
        ),
    ];
    for (name, help, counter) in counters {
        page.one(name, "counter", help, counter.load(Relaxed));
    }
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
    let gauges = [
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
    for (name, help, milliseconds) in gauges {
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

fn log(page: &mut Page, metrics: &Metrics) {
    let gauges = [
        (
            "log_first_offset",
            "The first transaction of the log.",
            &metrics.log_first_offset,
        ),
        (
            "log_next_offset",
            "The offset of the next transaction.",
            &metrics.log_next_offset,
        ),
        ("log_bytes", "The size of the log.", &metrics.log_bytes),
        (
            "checkpoint_offset",
            "The first transaction the newest checkpoint lacks.",
            &metrics.checkpoint_offset,
        ),
        (
            "checkpoint_bytes",
            "The size of the newest checkpoint of this run.",
            &metrics.checkpoint_bytes,
        ),
    ];
    for (name, help, gauge) in gauges {
        page.one(name, "gauge", help, gauge.load(Relaxed));
    }
    let counters = [
        (
            "checkpoints_total",
            "Checkpoints written since the start.",
            &metrics.checkpoints,
        ),
        (
            "checkpoint_failures_total",
            "Checkpoints that failed.",
            &metrics.checkpoint_failures,
        ),
    ];
    for (name, help, counter) in counters {
        page.one(name, "counter", help, counter.load(Relaxed));
    }
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
fn sizes(page: &mut Page, sizes: &[RelationSize]) {
    page.head("relation_rows", "gauge", "Rows of a table or live view.");
    for size in sizes {
        page.line("relation_rows", &labels(size), size.rows);
    }
    page.head(
        "relation_bytes",
        "gauge",
        "Memory of the rows of a table or live view.",
    );
    for size in sizes {
        page.line("relation_bytes", &labels(size), size.bytes);
    }
}

fn labels(size: &RelationSize) -> String {
    let kind = if size.is_view { "view" } else { "table" };
    let name = size
        .name
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("{{name=\"{name}\",kind=\"{kind}\"}}")
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
