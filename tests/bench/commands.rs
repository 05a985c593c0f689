//! The measurements as commands of the program.

use std::path::Path;

use mainstem::bench::{self, Report};

use crate::tools::{mainstem, mainstem_succeeds, text_of};

/// The settings of a run of the command that is soon over.
const SMALL: [&str; 6] = [
    "--scale",
    "0.02",
    "--lines",
    "2000",
    "--data-dir",
    "engines",
];

#[test]
fn each_query_of_nexmark_and_tpch_has_a_row_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    for (workload, views) in [
        ("nexmark", ["q0", "q3", "q7"]),
        ("tpch", ["q1", "q6", "q14"]),
    ] {
        let chosen = views.join(",");
        let named = ["bench", workload, "--views", &chosen];
        let arguments = [&named[..], &SMALL, &["--json", "report.json"]].concat();
        mainstem_succeeds(directory.path(), &arguments);
        let report = read(&directory.path().join("report.json"));
        assert_eq!(report.kind, workload);
        let notes = report.notes.join("\n");
        for view in views {
            for group in [
                "rows in memory until the view is complete",
                "state of the view, as counted",
            ] {
                let value = report.value(group, view);
                assert!(value.is_some_and(|value| value > 0.0), "{view}: {report}");
            }
            assert!(notes.contains(&format!("{view} (")), "{view}: {notes}");
        }
    }
}

fn read(path: &Path) -> Report {
    let text = std::fs::read_to_string(path).expect("a report");
    serde_json::from_str(&text).expect("a report")
}

#[test]
fn reports_are_kept_shown_as_a_page_and_compared_by_the_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |json: &str, workers: &str| {
        let measured = ["bench", "throughput", "--repetitions", "1"];
        let kept = ["--json", json, "--html", "page.html", "--workers", workers];
        let arguments = [&measured[..], &SMALL, &kept].concat();
        mainstem_succeeds(directory.path(), &arguments);
    };
    run("one.json", "1");
    run("two.json", "2");
    let page = std::fs::read_to_string(directory.path().join("page.html")).expect("a page");
    assert!(page.contains("<svg") && page.contains("--workers 2"));
    let compare = ["bench", "compare", "one.json", "two.json"];
    let text = text_of(&mainstem_succeeds(directory.path(), &compare));
    assert!(text.contains("not the same workers: 1 and 2"), "{text}");
    assert!(text.contains("rows in memory to complete views"), "{text}");
    let refused = mainstem(directory.path(), &["bench", "compare", "one.json", "none"]);
    assert!(!refused.status.success());
    assert!(
        text_of(&refused).contains("--json"),
        "{}",
        text_of(&refused)
    );
}

#[test]
fn a_directory_of_views_is_measured_over_the_shop_and_over_sources() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).expect("written");
    };
    std::fs::create_dir(directory.path().join("views")).expect("a directory");
    write(
        "views/sold.sql",
        "-- How many lines does each order have?\n\
         CREATE MATERIALIZED VIEW sold AS\n\
         SELECT order_id, count(*) AS lines FROM order_lines GROUP BY order_id;\n",
    );
    let measured = ["bench", "throughput", "--workload", "views"];
    let once = ["--repetitions", "1"];
    let over_the_shop = [&measured[..], &once, &SMALL].concat();
    let text = text_of(&mainstem_succeeds(directory.path(), &over_the_shop));
    assert!(text.contains("the generated shop"), "{text}");
    assert!(text.contains("sold ("), "{text}");

    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sample/mainstem.toml");
    let over_sources = [&over_the_shop[..], &["-c", sample]].concat();
    let text = text_of(&mainstem_succeeds(directory.path(), &over_sources));
    assert!(text.contains("over the sources sample"), "{text}");
    assert!(text.contains("sold ("), "{text}");

    write("empty.toml", "");
    let without = [&over_the_shop[..], &["-c", "empty.toml"]].concat();
    let refused = text_of(&mainstem(directory.path(), &without));
    assert!(refused.contains("there are no sources"), "{refused}");
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
        for group in ["rows kept by", "state of"] {
            let group = format!("{group} operators of {view}\n");
            assert!(text.contains(&group), "{group}: {text}");
        }
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
