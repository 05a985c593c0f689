//! The retail workload as a circuit of DBSP: typed tuples, compiled, all state in memory.
//!
//!     dbsp-retail DIRECTORY [WORKERS [LINES-A-TRANSACTION]]
//!
//! DIRECTORY has the files of `mainstem bench export`. All lines but the last 200,000 are loaded in
//! transactions, one after another; then come updates of 1,000 lines, each awaited. Prints a JSON
//! object: lines a second of the load, milliseconds of an update, rows of the views, resident
//! memory.

#[path = "../../differential/src/rows.rs"]
mod rows;
mod views;

use std::path::Path;
use std::time::Instant;

use rows::Rows;
use views::Views;

/// The one that DBSP's own benchmarks use.
#[global_allocator]
static ALLOCATOR: dbsp::mimalloc::MiMalloc = dbsp::mimalloc::MiMalloc;

const UPDATES: usize = 200;
const UPDATE: usize = 1_000;

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
    let workers = number(1, 1)?;
    let transaction = number(2, 10_000)?.max(1);
    let rows = Rows::read(Path::new(directory))?;
    let loaded = rows
        .lines
        .len()
        .checked_sub(UPDATES * UPDATE)
        .filter(|loaded| *loaded > 0)
        .ok_or("export more than 200,000 lines")?;
    let (load, late) = rows.lines.split_at(loaded);
    let before = status("VmRSS:");

    let mut views = Views::start(workers)?;
    views.prepare(&rows)?;
    let started = Instant::now();
    for lines in load.chunks(transaction) {
        views.add(lines)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut updates = Vec::new();
    for lines in late.chunks(UPDATE) {
        let started = Instant::now();
        views.add(lines)?;
        updates.push(started.elapsed().as_secs_f64() * 1e3);
    }
    updates.sort_by(f64::total_cmp);

    let held = status("VmRSS:").saturating_sub(before);
    let found = views.rows(&rows.lines)?;
    let report = serde_json::json!({
        "lines_per_second": loaded as f64 / seconds,
        "update_p50_ms": updates[updates.len() / 2],
        "update_p99_ms": updates[updates.len() * 99 / 100],
        "update_max_ms": updates[updates.len() - 1],
        "rows": { "customer_360": found[0], "product_store_day": found[1], "top_departments": found[2] },
        "bytes_per_line": held as f64 / rows.lines.len() as f64,
    });
    println!("{report}");
    Ok(())
}

/// A line of the kernel's figures for this process, in bytes; 0 where there is none.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
