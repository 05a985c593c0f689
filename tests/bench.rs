//! The measurements, small: that they run, check their answers and tell what they promise.

use std::path::Path;
use std::time::Duration;

use mainstem::bench::{self, Growth, Ingest, Latency, Place, Reads, Report, Throughput};

use crate::tools::{mainstem_succeeds, text_of};

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
    };
    let report = measurement.measure(&workload).expect("all views are right");
    assert_checked(&report);
    let rate = report.value("rows in memory to complete views", "median");
    assert!(rate.is_some_and(|rate| rate > 0.0), "{report}");
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
        rate: 2_000.0,
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
fn latency_of_tpch_is_that_of_refreshes() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut workload = bench::tpch(0.005).expect("a workload");
    let chosen = ["q1", "q3", "q18"].map(str::to_owned);
    workload.keep_views(&chosen).expect("three of the queries");
    let measurement = Latency {
        place: place(&directory, 1),
        states: vec![8_000],
        transaction: 10,
        rate: 500.0,
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
fn tpch_is_a_workload_of_the_command_and_has_a_smallest_scale() {
    let directory = tempfile::tempdir().expect("a directory");
    let sizes = [
        "--lines",
        "2000",
        "--repetitions",
        "1",
        "--data-dir",
        "engines",
    ];
    let of_tpch = ["bench", "throughput", "--workload", "tpch", "--views", "q6"];
    let arguments = [&of_tpch[..], &["--scale", "0.005"], &sizes].concat();
    let text = text_of(&mainstem_succeeds(directory.path(), &arguments));
    assert!(text.contains("scale factor 0.001"), "{text}");
    assert!(text.contains("q6 (1 rows)"), "{text}");
    let refused = bench::tpch(0.001).err().expect("too small");
    assert!(refused.to_string().contains("0.005"), "{refused}");
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
    for group in ["scan with sums by store", "scan with a filter", "snapshot"] {
        let ratio = report.value(group, "speed against it");
        assert!(ratio.is_some_and(|ratio| ratio > 0.0), "{report}");
    }
    let nexmark = bench::nexmark(1).expect("a workload");
    let refused = measurement.measure(&nexmark).expect_err("other views");
    assert!(refused.to_string().contains("retail"), "{refused}");
}

#[test]
fn memory_is_measured_view_by_view() {
    let directory = tempfile::tempdir().expect("a directory");
    let sizes = [
        "--scale",
        "0.02",
        "--lines",
        "3000",
        "--data-dir",
        "engines",
    ];
    let output = mainstem_succeeds(
        directory.path(),
        &[&["bench", "memory"][..], &sizes].concat(),
    );
    let text = text_of(&output);
    for view in ["customer_360", "product_store_day", "top_departments"] {
        assert!(text.contains(view), "{text}");
    }
}

/// What is measured where nothing is said differs between measurements that share a setting.
#[test]
fn each_measurement_has_its_own_defaults() {
    for (measurement, setting, default) in [
        ("throughput", "--transaction", "[default: 16384]"),
        ("throughput", "--repetitions", "[default: 5]"),
        ("latency", "--transaction", "[default: 1000]"),
        ("growth", "--lines", "[default: 10000000]"),
        ("operators", "--lines", "[default: 500000]"),
        ("operators", "--repetitions", "[default: 3]"),
    ] {
        let help = text_of(&mainstem_succeeds(
            Path::new("."),
            &["bench", measurement, "--help"],
        ));
        let (_, rest) = help.split_once(&format!("{setting} ")).expect(setting);
        let (said, _) = rest.split_once(']').expect("a default");
        assert!(
            format!("{said}]").ends_with(default),
            "{measurement} {setting}: {said}]"
        );
    }
}
