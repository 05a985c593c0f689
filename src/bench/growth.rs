//! Growth: what a line costs while the state grows.

use std::time::Instant;

use super::BenchError;
use super::bed::{Bed, Place};
use super::machine::{processor_seconds, resident_bytes};
use super::report::{Better, Plot, Report, number};
use super::throughput::check_note;
use super::workload::{Workload, take};

/// Rows that are in memory before they are handed in.
const PART: usize = 1 << 20;

/// How growth is measured.
#[derive(Clone, Debug)]
pub struct Growth {
    /// Where, and with how many workers.
    pub place: Place,
    /// Rows in all.
    pub lines: usize,
    /// Steps of equal size at which the cost is told.
    pub steps: usize,
    /// Rows of a transaction.
    pub transaction: usize,
}

/// What one step has shown.
struct Step {
    rows: usize,
    ns_per_line: f64,
    processor_ns_per_line: f64,
    bytes_per_line: f64,
}

impl Growth {
    /// Measures.
    pub fn measure(&self, workload: &Workload) -> Result<Report, BenchError> {
        let bed = Bed::new(&self.place, workload)?;
        let mut stream = (workload.transactions)()?;
        let size = (self.lines / self.steps.max(1)).max(1);
        let base = resident_bytes();
        let mut steps: Vec<Step> = Vec::new();
        let mut rows = 0;
        for _ in 0..self.steps.max(1) {
            let (mut seconds, mut processor, mut done) = (0.0, 0.0, 0);
            while done < size {
                let part = PART.min(size - done);
                let transactions = take(stream.as_mut(), part, self.transaction)?;
                let (started, processor_before) = (Instant::now(), processor_seconds());
                let loaded = bed.load(transactions)? as usize;
                seconds += started.elapsed().as_secs_f64();
                processor += processor_seconds() - processor_before;
                if loaded == 0 {
                    let message = format!("the workload ends after {rows} rows");
                    return Err(BenchError::Input(message));
                }
                done += loaded;
            }
            rows += done;
            steps.push(Step {
                rows,
                ns_per_line: seconds * 1e9 / done as f64,
                processor_ns_per_line: processor * 1e9 / done as f64,
                bytes_per_line: resident_bytes().saturating_sub(base) as f64 / rows as f64,
            });
        }
        let mut report = self.report(workload, &steps);
        report.notes.push(check_note(&bed.check(workload)?));
        Ok(report)
    }

    fn report(&self, workload: &Workload, steps: &[Step]) -> Report {
        let mut report = Report::new("growth", &workload.description, self.place.workers);
        for step in steps {
            let group = format!("up to {} lines", number(step.rows as f64));
            report.figure(
                &group,
                "time per line",
                step.ns_per_line,
                "ns",
                Better::Lower,
            );
            let processor = step.processor_ns_per_line;
            report.figure(
                &group,
                "processor time per line",
                processor,
                "ns",
                Better::Lower,
            );
            let bytes = step.bytes_per_line;
            report.figure(&group, "memory", bytes, "bytes/line", Better::Lower);
        }
        // The first step pays for an empty start, so the second is what the last is held against.
        if let [_, second, .., last] = steps {
            let growth = last.ns_per_line / second.ns_per_line;
            let group = "last step against second";
            report.figure(group, "time per line", growth, "times", Better::Lower);
        }
        let curve = |of: &dyn Fn(&Step) -> f64| {
            let points = steps.iter().map(|step| (step.rows as f64, of(step)));
            points.collect::<Vec<_>>()
        };
        report.plots.push(Plot {
            title: "Cost of a line while the state grows".to_owned(),
            across: "lines".to_owned(),
            up: "ns per line".to_owned(),
            names: Vec::new(),
            series: vec![
                ("time".to_owned(), curve(&|step| step.ns_per_line)),
                (
                    "processor time".to_owned(),
                    curve(&|step| step.processor_ns_per_line),
                ),
            ],
        });
        report.plots.push(Plot {
            title: "Memory while the state grows".to_owned(),
            across: "lines".to_owned(),
            up: "bytes per line".to_owned(),
            names: Vec::new(),
            series: vec![("resident".to_owned(), curve(&|step| step.bytes_per_line))],
        });
        report
    }
}
