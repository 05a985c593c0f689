//! The measurements, small: that they run, check their answers and tell what they promise.

mod commands;
mod peers;

use std::time::Duration;

use mainstem::bench::{
    self, Arrivals, Growth, Idle, Ingest, Latency, Place, Reads, Report, Throughput,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn place(directory: &tempfile::TempDir, workers: usize) -> Place {
    Place {
        directory: directory.path().join("engines"),
        workers,
    }
}

fn assert_checked(report: &Report) {
    let notes = report.notes.join("\n");
    for view in ["customer_360", "product_store_day", "top_departments"] {
        assert!(notes.contains(view), "{view} is not checked: {notes}");
    }
}

#[test]
fn throughput_is_measured_and_every_view_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    let workload = bench::retail(1, 0.02);
    let measurement = Throughput {
        place: place(&directory, 2),
        lines: 5_000,
        transaction: 600,
        repetitions: 2,
        answers: None,
    };
    let report = measurement.measure(&workload).expect("all views are right");
    assert_checked(&report);
    for figure in ["median", "transactions, median"] {
        let rate = report.value("rows in memory to complete views", figure);
        assert!(rate.is_some_and(|rate| rate > 0.0), "{report}");
    }
    let households = report.value("rows of the views", "customer_360");
    assert!(households.is_some_and(|rows| rows > 10.0), "{report}");
    let left = std::fs::read_dir(directory.path()).expect("readable");
    assert_eq!(left.count(), 0, "engines are removed again");
}

#[test]
fn latency_is_measured_at_each_size_of_the_state() {
    let directory = tempfile::tempdir().expect("a directory");
    let measurement = Latency {
        place: place(&directory, 1),
        states: vec![1_000, 4_000],
        transaction: 20,
        arrivals: Arrivals::Rate(2_000.0),
        duration: Duration::from_millis(200),
    };
    let report = measurement
        .measure(&bench::retail(2, 0.02))
        .expect("all views are right");
    assert_checked(&report);
    for group in ["on top of 1,000 lines", "on top of 4,000 lines"] {
        assert_eq!(report.value(group, "transactions"), Some(20.0), "{report}");
        let (p50, max) = (report.value(group, "p50"), report.value(group, "max"));
        assert!(p50 <= max && p50 > Some(0.0), "{report}");
    }
    let page = bench::page(&report);
    assert!(page.contains("<svg") && page.contains("on top of 4,000 lines"));
}

#[test]
fn one_transaction_after_the_other_is_a_closed_loop() {
    let directory = tempfile::tempdir().expect("a directory");
    let measurement = Latency {
        place: place(&directory, 1),
        states: vec![1_000],
        transaction: 1,
        arrivals: Arrivals::OneByOne,
        duration: Duration::from_millis(200),
    };
    let report = measurement
        .measure(&bench::retail(2, 0.02))
        .expect("all views are right");
    assert_checked(&report);
    let value = |name| report.value("on top of 1,000 lines", name).expect("told");
    // Each transaction waits for the one before: their latencies are all the time there is.
    assert!(value("transactions") >= 1.0, "{report}");
    assert!(value("completed") * value("p50") / 1e3 <= 2.1, "{report}");
    assert!(report.notes.join("\n").contains("closed loop"), "{report}");
}

#[test]
fn an_idle_engine_is_measured_with_copies_of_the_views() {
    let directory = tempfile::tempdir().expect("a directory");
    let measurement = Idle {
        place: place(&directory, 1),
        lines: 1_000,
        views: 7,
        duration: Duration::from_millis(100),
    };
    let report = measurement
        .measure(bench::retail(2, 0.02))
        .expect("all views are right");
    assert_checked(&report);
    let value = |name| report.value("while nothing happens", name);
    assert_eq!(value("views"), Some(7.0), "{report}");
    assert!(value("processor").is_some_and(|share| share >= 0.0));
    let notes = report.notes.join("\n");
    assert!(notes.contains("customer_360_copy_3"), "{notes}");
}

#[test]
fn growth_is_told_step_by_step_and_compared() {
    let directory = tempfile::tempdir().expect("a directory");
    let measurement = Growth {
        place: place(&directory, 1),
        lines: 3_000,
        steps: 3,
        transaction: 500,
    };
    let report = measurement
        .measure(&bench::retail(3, 0.02))
        .expect("all views are right");
    assert_checked(&report);
    assert!(report.value("up to 3,000 lines", "time per line").is_some());
    let text = bench::compare(&report, &report);
    assert!(text.contains("1.00x"), "{text}");
}

#[test]
fn other_systems_are_given_the_same_rows() {
    let directory = tempfile::tempdir().expect("a directory");
    let rows = bench::export(&bench::retail(4, 0.02), 1_000, directory.path()).expect("written");
    assert!(rows > 1_000, "the first rows are written, too");
    for file in [
        "lines.parquet",
        "lines.csv",
        "lines.ndjson",
        "products.csv",
        "customer_360.sql",
    ] {
        let size = std::fs::metadata(directory.path().join(file))
            .expect(file)
            .len();
        assert!(size > 100, "{file} has {size} bytes");
    }
}

#[test]
fn tpch_is_measured_beyond_its_load_and_every_query_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    let measurement = Throughput {
        place: place(&directory, 2),
        lines: 9_000,
        transaction: 600,
        repetitions: 1,
        answers: None,
    };
    let workload = bench::tpch(0.005).expect("a workload");
    let report = measurement.measure(&workload).expect("all views are right");
    let notes = report.notes.join("\n");
    for query in 1..=22 {
        assert!(notes.contains(&format!("q{query} (")), "q{query}: {notes}");
    }
    assert!(!notes.contains("Not checked"), "{notes}");
    let lines = report.value("memory, first run", "lines");
    assert!(lines.is_some_and(|lines| lines >= 9_000.0), "{report}");
    let flags = report.value("rows of the views", "q1");
    assert!(flags.is_some_and(|rows| rows >= 3.0), "{report}");
}

#[test]
fn nexmark_is_measured_and_every_query_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    let measurement = Throughput {
        place: place(&directory, 2),
        lines: 2_000,
        transaction: 500,
        repetitions: 1,
        answers: None,
    };
    let workload = bench::nexmark(9).expect("a workload");
    let report = measurement.measure(&workload).expect("all views are right");
    let notes = report.notes.join("\n");
    for query in 0..=22 {
        assert!(notes.contains(&format!("q{query} (")), "q{query}: {notes}");
    }
    assert!(!notes.contains("Not checked"), "{notes}");
}

#[test]
fn latency_of_tpch_is_that_of_refreshes() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut workload = bench::tpch(0.005).expect("a workload");
    let chosen = ["q1", "q3", "q18"].map(str::to_owned);
    workload.keep_views(&chosen).expect("three of the queries");
    let measurement = Latency {
        place: place(&directory, 1),
        states: vec![8_000],
        transaction: 10,
        arrivals: Arrivals::Rate(500.0),
        duration: Duration::from_millis(400),
    };
    let report = measurement.measure(&workload).expect("all views are right");
    let transactions = report.value("on top of 8,000 lines", "transactions");
    assert!(transactions.is_some_and(|count| count > 5.0), "{report}");
    assert!(report.notes.join("\n").contains("q18 ("), "{report}");
}

#[test]
fn files_of_tpch_end_where_orders_go() {
    let directory = tempfile::tempdir().expect("a directory");
    let workload = bench::tpch(0.005).expect("a workload");
    let initial: usize = workload.initial.iter().map(|one| one.rows.num_rows()).sum();
    let rows = bench::export(&workload, 20_000, directory.path()).expect("written");
    let loaded = rows - initial;
    assert!((7_000..8_000).contains(&loaded), "{loaded} rows are loaded");
    for file in [
        "lineitem.parquet",
        "orders.csv",
        "partsupp.ndjson",
        "q22.sql",
    ] {
        assert!(directory.path().join(file).exists(), "{file}");
    }
}

#[test]
fn files_of_all_formats_fill_the_views() {
    let directory = tempfile::tempdir().expect("a directory");
    let measurement = Ingest {
        place: place(&directory, 2),
        lines: 3_000,
        transaction: 700,
        repetitions: 1,
        format: None,
    };
    let report = measurement.measure(bench::retail(5, 0.02));
    let report = report.expect("all rows are taken, all views are right");
    assert_checked(&report);
    for format in ["ndjson", "csv", "parquet"] {
        for group in [
            "files to rows of tables, one thread",
            "files to complete views",
        ] {
            let rate = report.value(group, format);
            assert!(rate.is_some_and(|rate| rate > 0.0), "{report}");
        }
    }
    let timed = report.timed.iter();
    let timed = timed.map(|run| (run.name.as_str(), run.ended_s > run.began_s));
    let expected = ["ndjson", "csv", "parquet"].map(|format| (format, true));
    assert_eq!(timed.collect::<Vec<_>>(), expected);
    let left = std::fs::read_dir(directory.path().join("engines"));
    assert_eq!(
        left.map_or(0, Iterator::count),
        0,
        "files are removed again"
    );
}

#[test]
fn reads_are_compared_with_a_table_in_memory_and_a_bare_writer() {
    let directory = tempfile::tempdir().expect("a directory");
    let measurement = Reads {
        place: place(&directory, 2),
        lines: 3_000,
        repetitions: 2,
    };
    let report = measurement.measure(&bench::retail(6, 0.02));
    let report = report.expect("answers are equal");
    assert_checked(&report);
    for kind in [
        "parse, plan and run SQL, in process",
        "prepared, over the Postgres protocol",
    ] {
        let p50 = report.value(&format!("lookup by key: {kind}"), "p50");
        assert!(p50.is_some_and(|p50| p50 > 0.0), "{report}");
    }
    for group in ["scan with sums by store", "scan with a filter", "snapshot"] {
        let ratio = report.value(group, "speed against it");
        assert!(ratio.is_some_and(|ratio| ratio > 0.0), "{report}");
    }
    let nexmark = bench::nexmark(1).expect("a workload");
    let refused = measurement.measure(&nexmark).expect_err("other views");
    assert!(refused.to_string().contains("retail"), "{refused}");
}

#[test]
fn operators_are_measured_one_by_one() {
    let report = bench::operators(&bench::retail(7, 0.02), 2, 2_000, 1).expect("measured");
    for operator in [
        "chunk merge",
        "filter and project",
        "temporal filter",
        "arrange rows",
        "distinct",
        "min and max",
        "join, then one sum",
        "top 3 of each group",
        "scan of rows",
        "scan of groups",
    ] {
        let median = report.value(operator, "median");
        assert!(median.is_some(), "{operator}: {report}");
    }
    let arranged = report.value("arrange rows", "median");
    assert!(arranged > Some(0.0), "{report}");
}

#[test]
fn the_rows_of_views_are_written_for_others_to_compare() {
    let directory = tempfile::tempdir().expect("a directory");
    let measurement = Throughput {
        place: place(&directory, 2),
        lines: 2_000,
        transaction: 600,
        repetitions: 1,
        answers: Some(directory.path().join("answers")),
    };
    let report = measurement.measure(&bench::retail(8, 0.02));
    let report = report.expect("all views are right");
    for view in ["customer_360", "product_store_day", "top_departments"] {
        let path = directory.path().join(format!("answers/{view}.parquet"));
        let file = std::fs::File::open(path).expect("an answer");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
        let rows = reader.metadata().file_metadata().num_rows();
        let told = report.value("rows of the views", view);
        assert_eq!(Some(rows as f64), told, "{view}");
    }
}
