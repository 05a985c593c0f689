//! The retail workload by hand: typed structs in differential dataflow's stock containers.
//!
//!     differential-retail DIRECTORY [WORKERS [LINES-A-TRANSACTION [IN-FLIGHT]]]
//!
//! DIRECTORY has the files of `mainstem bench export`. All lines but the last 200,000 are loaded in
//! transactions; then come updates of 1,000 lines, each awaited. Prints a JSON object: lines a
//! second of the load, milliseconds of an update, rows of the views, resident memory.

mod rows;
mod views;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rows::{Line, Rows};
use timely::worker::Worker;
use views::Views;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const UPDATES: usize = 200;
const UPDATE: usize = 1_000;

/// How lines are handed in.
#[derive(Clone, Copy)]
struct Plan {
    workers: usize,
    transaction: usize,
    in_flight: u64,
}

/// What one worker saw.
struct Seen {
    load_seconds: f64,
    updates_ms: Vec<f64>,
    rows: [i64; 3],
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = arguments
        .first()
        .ok_or("name the directory of `mainstem bench export`")?;
    let number = |position: usize, default: usize| {
        arguments
            .get(position)
            .map_or(Ok(default), |text| text.parse())
    };
    let plan = Plan {
        workers: number(1, 1)?,
        transaction: number(2, 16_384)?,
        in_flight: number(3, 2)? as u64,
    };
    let rows = Arc::new(Rows::read(Path::new(directory))?);
    let before = status("VmRSS:");
    let lines = rows.lines.len();
    let config = match plan.workers {
        1 => timely::Config::thread(),
        workers => timely::Config::process(workers),
    };
    let input = Arc::clone(&rows);
    let guards = timely::execute(config, move |worker| run(worker, &input, plan))?;
    let seen: Vec<Seen> = guards.join().into_iter().collect::<Result<_, _>>()?;
    let mut views = [0; 3];
    for (view, rows) in views.iter_mut().enumerate() {
        *rows = seen.iter().map(|seen| seen.rows[view]).sum::<i64>();
    }
    let loaded = lines - UPDATES * UPDATE;
    let seconds = seen
        .iter()
        .map(|seen| seen.load_seconds)
        .fold(0.0, f64::max);
    let mut updates = seen[0].updates_ms.clone();
    updates.sort_by(f64::total_cmp);
    let report = serde_json::json!({
        "lines_per_second": loaded as f64 / seconds,
        "update_p50_ms": updates[updates.len() / 2],
        "update_p99_ms": updates[updates.len() * 99 / 100],
        "update_max_ms": updates[updates.len() - 1],
        "rows": { "customer_360": views[0], "product_store_day": views[1], "top_departments": views[2] },
        "bytes_per_line": (status("VmRSS:").saturating_sub(before)) as f64 / lines as f64,
    });
    println!("{report}");
    Ok(())
}

fn run(worker: &mut Worker, rows: &Rows, plan: Plan) -> Seen {
    let mut views = Views::build(worker);
    let (index, peers) = (worker.index(), worker.peers());
    if index == 0 {
        views.prepare(rows);
    }
    views.advance_to(1);
    while views.is_behind(1) {
        worker.step();
    }
    let share = |lines: &[Line]| {
        let (first, last) = (
            lines.len() * index / peers,
            lines.len() * (index + 1) / peers,
        );
        first..last
    };
    let (load, late) = rows.lines.split_at(rows.lines.len() - UPDATES * UPDATE);
    let started = Instant::now();
    let mut time = 1;
    for transaction in load.chunks(plan.transaction) {
        views.add(&transaction[share(transaction)]);
        time += 1;
        views.advance_to(time);
        while views.is_behind(time.saturating_sub(plan.in_flight)) {
            worker.step();
        }
    }
    while views.is_behind(time) {
        worker.step();
    }
    let load_seconds = started.elapsed().as_secs_f64();
    let mut updates_ms = Vec::new();
    for update in late.chunks(UPDATE) {
        let started = Instant::now();
        views.add(&update[share(update)]);
        time += 1;
        views.advance_to(time);
        while views.is_behind(time) {
            worker.step();
        }
        updates_ms.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Seen {
        load_seconds,
        updates_ms,
        rows: views.counts.rows(),
    }
}

/// A line of the kernel's figures for this process, in bytes; 0 where there is none.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
