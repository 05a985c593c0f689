//! Latency at a fixed arrival rate, with an open loop: transactions arrive by a clock of their own,
//! whether the engine keeps up or not, and a latency is the time from the scheduled arrival to the
//! moment all views have it: a stall is suffered by every transaction that would have arrived in it.
//!
//! Or as fast as one after the other can be, with a closed loop.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::BenchError;
use super::bed::{Bed, Place};
use super::histogram::Histogram;
use super::report::{Better, Plot, Report};
use super::throughput::check_note;
use super::workload::{Transactions, Workload, rows_of, take};
use crate::engine::Engine;
use crate::model::Submission;

/// Transactions of the load that precedes the measurement.
const LOAD_TRANSACTION: usize = 16_384;
/// The last stretch before an arrival is waited for awake: sleeping is not that exact.
const AWAKE: Duration = Duration::from_micros(100);
/// Quantiles that are told, with their names.
const QUANTILES: &[(f64, &str)] = &[
    (0.5, "p50"),
    (0.9, "p90"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (1.0, "max"),
];

/// How latency is measured.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Where, and with how many workers.
    pub place: Place,
    /// Rows that are there before, ascending; latency is measured at each of these sizes.
    pub states: Vec<usize>,
    /// Rows of a transaction.
    pub transaction: usize,
    /// When transactions arrive.
    pub arrivals: Arrivals,
    /// For how long they arrive, at each size.
    pub duration: Duration,
}

/// When transactions arrive.
#[derive(Clone, Copy, Debug)]
pub enum Arrivals {
    /// By the clock, so many rows in a second: an open loop.
    Rate(f64),
    /// Each as soon as all views have the one before: a closed loop.
    OneByOne,
}

impl Latency {
    /// Measures.
    pub fn measure(&self, workload: &Workload) -> Result<Report, BenchError> {
        let mut report = Report::new("latency", &workload.description, self.place.workers);
        let bed = Bed::new(&self.place, workload)?;
        let mut stream = (workload.transactions)()?;
        let mut rows = 0;
        let mut curves = Vec::new();
        for state in &self.states {
            // A part at a time: the rows of a large state need not be in memory twice.
            while rows < *state {
                let part = (state - rows).min(64 * LOAD_TRANSACTION);
                let load = take(stream.as_mut(), part, LOAD_TRANSACTION)?;
                let loaded = bed.load(load)? as usize;
                if loaded == 0 {
                    let message = format!("the workload ends after {rows} rows");
                    return Err(BenchError::Input(message));
                }
                rows += loaded;
            }
            let measured = self.arrive(&bed.engine, stream.as_mut())?;
            rows += measured.rows;
            let group = format!("on top of {} lines", super::report::number(*state as f64));
            tell(&mut report, &group, &measured);
            curves.push((group, curve(&measured.latencies)));
        }
        report.notes.push(self.note());
        report.notes.push(check_note(&bed.check(workload)?));
        report.plots.push(Plot {
            title: "Latency by quantile".to_owned(),
            across: "quantile".to_owned(),
            up: "ms".to_owned(),
            names: QUANTILES
                .iter()
                .map(|(_, name)| (*name).to_owned())
                .collect(),
            series: curves,
        });
        Ok(report)
    }

    /// Lets transactions arrive for as long as it takes.
    fn arrive(
        &self,
        engine: &Engine,
        stream: &mut dyn Transactions,
    ) -> Result<Measured, BenchError> {
        match self.arrivals {
            Arrivals::Rate(rate) => {
                let count = (rate * self.duration.as_secs_f64()) as usize;
                let arrivals = take(stream, count.max(1), self.transaction)?;
                let interval = Duration::from_secs_f64(self.transaction as f64 / rate);
                open_loop(engine, arrivals, interval)
            }
            Arrivals::OneByOne => closed_loop(engine, stream, self.transaction, self.duration),
        }
    }

    fn note(&self) -> String {
        let arrivals = match self.arrivals {
            Arrivals::Rate(rate) => format!(
                "{rate} lines a second, open loop: latency counts from the scheduled arrival"
            ),
            Arrivals::OneByOne => "closed loop: each transaction is handed in when all views have \
                                   the one before, and latency counts from there"
                .to_owned(),
        };
        format!(
            "{} lines a transaction, {arrivals} to the moment all views have it, synced log included.",
            self.transaction
        )
    }
}

/// What a loop has shown.
struct Measured {
    rows: usize,
    latencies: Histogram,
    transactions_per_second: f64,
}

fn tell(report: &mut Report, group: &str, measured: &Measured) {
    for (share, name) in QUANTILES {
        let latency = measured.latencies.quantile_ms(*share);
        report.figure(group, name, latency, "ms", Better::Lower);
    }
    let transactions = measured.latencies.len() as f64;
    report.figure(group, "transactions", transactions, "", Better::Neither);
    let rate = measured.transactions_per_second;
    report.figure(group, "completed", rate, "transactions/s", Better::Higher);
}

fn curve(latencies: &Histogram) -> Vec<(f64, f64)> {
    let quantiles = QUANTILES.iter().enumerate();
    quantiles
        .map(|(at, (share, _))| (at as f64, latencies.quantile_ms(*share)))
        .collect()
}

/// Each transaction follows once all views have the one before; making it does not count.
fn closed_loop(
    engine: &Engine,
    stream: &mut dyn Transactions,
    lines: usize,
    duration: Duration,
) -> Result<Measured, BenchError> {
    engine.flush()?;
    let (mut rows, mut latencies, mut spent) = (0, Histogram::default(), Duration::ZERO);
    while spent < duration {
        let Some(transaction) = stream.next(lines)? else {
            break;
        };
        rows += rows_of(&transaction);
        let started = Instant::now();
        engine.enqueue(transaction)?;
        engine.flush()?;
        let latency = started.elapsed();
        latencies.record(latency);
        spent += latency;
    }
    Ok(Measured {
        rows,
        transactions_per_second: latencies.len() as f64 / spent.as_secs_f64().max(f64::EPSILON),
        latencies,
    })
}

/// A transaction on its way: its timestamp (ms) and when it was to arrive.
type Arrival = (u64, Instant);

fn open_loop(
    engine: &Engine,
    transactions: Vec<Submission>,
    interval: Duration,
) -> Result<Measured, BenchError> {
    let last_ms = engine.flush()?;
    let count = transactions.len();
    let rows: usize = transactions.iter().map(rows_of).sum();
    let (sender, arrivals) = channel::<Arrival>();
    let started = Instant::now();
    let latencies = thread::scope(|scope| {
        let arriving = scope.spawn(move || {
            let mut timestamp_ms = last_ms;
            let mut scheduled = started;
            for mut transaction in transactions {
                wait_until(scheduled);
                // The engine would choose the same; so it is known beforehand.
                timestamp_ms = wall_clock_ms().max(timestamp_ms + 1);
                transaction.timestamp_ms = Some(timestamp_ms);
                // The watcher ends early only if the engine has failed, as the next line tells.
                let _ = sender.send((timestamp_ms, scheduled));
                engine.enqueue(transaction)?;
                scheduled += interval;
            }
            Ok::<(), BenchError>(())
        });
        let watched = watch(engine, &arrivals, last_ms, count);
        let arrived = arriving.join().unwrap_or_else(|_| {
            Err(BenchError::System {
                action: "hand transactions in".to_owned(),
                reason: "its thread broke down".to_owned(),
            })
        });
        arrived.and(watched)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    engine.flush()?;
    Ok(Measured {
        rows,
        latencies,
        transactions_per_second: count as f64 / seconds,
    })
}

/// Takes the time at which each of `count` transactions is complete in all views.
fn watch(
    engine: &Engine,
    arrivals: &Receiver<Arrival>,
    mut complete_ms: u64,
    count: usize,
) -> Result<Histogram, BenchError> {
    let mut latencies = Histogram::default();
    let mut under_way: VecDeque<Arrival> = VecDeque::new();
    for _ in 0..count {
        while under_way
            .front()
            .is_none_or(|(timestamp_ms, _)| *timestamp_ms > complete_ms)
        {
            complete_ms = engine.wait_beyond(complete_ms)?;
            under_way.extend(arrivals.try_iter());
        }
        if let Some((_, scheduled)) = under_way.pop_front() {
            latencies.record(scheduled.elapsed());
        }
    }
    Ok(latencies)
}

fn wait_until(moment: Instant) {
    let left = moment.saturating_duration_since(Instant::now());
    if left > AWAKE {
        thread::sleep(left - AWAKE);
    }
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
}

fn wall_clock_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
