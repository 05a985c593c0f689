//! Real data with known answers: a year of Online Retail, every purchase of CDNOW.
//!
//! The data has licences of its own and is not part of the repository; without it the tests are
//! skipped. `fixtures/` has the mappings and says where the data comes from.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use mainstem::engine::{Engine, Outcome, Session};
use mainstem::model::{Submission, standard_tables};
use mainstem::serve::format::{Format, write_rows};
use mainstem::source::{Clock, Delimiter, FileOptions, FileSource, Identity, Mapping, Source};

use crate::engine::open;
use crate::tools::shared_data;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The statements of all views below the directories, by name.
fn view_files(directories: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for directory in directories {
        for entry in fs::read_dir(fixture(directory)).expect("a directory of views") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                let text = fs::read_to_string(&path).expect("text");
                files.push((text, path.display().to_string()));
            }
        }
    }
    files
}

/// An engine with the standard tables and some views, its directory and what asks it.
struct Shop {
    engine: Engine,
    runtime: tokio::runtime::Runtime,
    _directory: tempfile::TempDir,
}

impl Shop {
    fn start(workers: usize, views: &[&str]) -> Shop {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), workers);
        engine.ensure_tables(&standard_tables()).expect("tables");
        let files: Vec<(String, String)> = view_files(views)
            .into_iter()
            .map(|(text, path)| {
                let stem = Path::new(&path).file_stem().expect("a name");
                (stem.display().to_string(), text)
            })
            .collect();
        engine.sync_views(&files).expect("views");
        Shop {
            engine,
            runtime: tokio::runtime::Runtime::new().expect("a runtime"),
            _directory: directory,
        }
    }

    fn source(&self, options: FileOptions) -> FileSource {
        let positions = self.engine.source_positions();
        let position = positions.get(&options.name).map(String::as_str);
        FileSource::open(options, &standard_tables(), position).expect("the source opens")
    }

    /// Reads a source to its end.
    fn feed(&self, options: FileOptions) {
        let mut source = self.source(options);
        while let Some(submission) = source.next().expect("readable files") {
            self.engine.enqueue(submission).expect("queued");
        }
        self.engine.flush().expect("complete");
    }

    /// Reads a source to its end and hands everything in as one transaction.
    fn feed_at_once(&self, options: FileOptions) {
        let mut source = self.source(options);
        let mut whole = Submission::default();
        while let Some(submission) = source.next().expect("readable files") {
            whole.changes.extend(submission.changes);
        }
        self.engine.submit(whole).expect("durable");
        self.engine.flush().expect("complete");
    }

    /// The answer as CSV lines behind the header.
    fn lines(&self, sql: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let mut session: Session = self.engine.session();
            let statement = session.parse(sql).expect(sql).remove(0);
            let Outcome::Rows(rows) = session.execute(&statement, &[]).await.expect(sql) else {
                panic!("{sql} gives no rows");
            };
            let schema = rows.schema();
            let rows: Vec<_> = rows.try_collect().await.expect(sql);
            let mut text = Vec::new();
            write_rows(&mut text, &schema, &rows, Format::Csv).expect("CSV");
            let text = String::from_utf8(text).expect("UTF-8");
            text.lines().skip(1).map(str::to_owned).collect()
        })
    }

    fn value(&self, sql: &str) -> String {
        self.lines(sql).concat()
    }

    /// The rows of every view, in an order of their own.
    fn views(&self) -> BTreeMap<String, Vec<String>> {
        let views = self.engine.views().into_iter();
        let rows = views.map(|view| {
            let mut rows = self.lines(&format!("SELECT * FROM {view}"));
            rows.sort_unstable();
            (view, rows)
        });
        rows.collect()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.engine.shutdown();
    }
}

fn mappings(path: &str) -> Vec<Mapping> {
    let text = fs::read_to_string(fixture(path)).expect("a mapping");
    Mapping::parse_all(&text).expect("a sound mapping")
}

fn online_retail(files: &[&Path]) -> FileOptions {
    let paths = files
        .iter()
        .map(|directory| directory.display().to_string())
        .collect();
    FileOptions {
        clock: Clock::Event,
        ..FileOptions::new(
            "online_retail",
            paths,
            mappings("fixtures/online-retail/online_retail.sql"),
        )
    }
}

const ONLINE_RETAIL_VIEWS: &[&str] = &["dataflows", "fixtures/online-retail/dataflows"];

/// The known answers of the data set, by column of the view `online_retail_totals`.
const KNOWN_ANSWERS: &[(&str, &str)] = &[
    ("lines", "541909"),
    ("amount", "9747747.9340"),
    ("amount_minor", "974774793"),
    ("positive_amount", "10644560.4240"),
    ("negative_amount", "-896812.4900"),
    ("invoices", "25900"),
    ("plain_invoices", "22061"),
    ("cancellations", "3836"),
    ("adjustments", "3"),
    ("cancellation_lines", "9288"),
    ("guest_lines", "135080"),
    ("customers", "4372"),
    ("negative_quantity_lines", "10624"),
    ("zero_price_lines", "2515"),
    ("negative_price_lines", "2"),
    ("below_penny_lines", "4"),
    ("repeated_lines", "5268"),
    ("lines_without_title", "1454"),
    ("codes_in_two_cases", "112"),
    ("post_lines", "1256"),
    ("dot_lines", "710"),
    ("manual_lines", "571"),
    ("customers_in_two_countries", "8"),
    ("invoices_with_two_times", "43"),
    ("customer_12346_units", "0"),
    ("customer_12346_minor", "0"),
];

#[test]
fn online_retail_gives_its_known_answers_however_it_arrives() {
    let Some(data) = shared_data("online-retail") else {
        return;
    };
    let pattern = data.join("*.csv");
    let reference = Shop::start(2, ONLINE_RETAIL_VIEWS);
    reference.feed(online_retail(&[&pattern]));
    assert_eq!(reference.value("SELECT count(*) FROM rejected_events"), "0");
    for (column, expected) in KNOWN_ANSWERS {
        let sql = format!("SELECT CAST({column} AS VARCHAR) FROM online_retail_totals");
        let answer = reference.value(&sql);
        let difference = answer
            .parse::<f64>()
            .ok()
            .zip(expected.parse::<f64>().ok())
            .map(|(answer, expected)| answer - expected);
        assert_eq!(difference, Some(0.0), "{column}: {answer}, not {expected}");
    }
    let bought = "SELECT orders, gross_minor = returned_minor, net_minor FROM customer_360 \
                  WHERE customer_id = '12346'";
    assert_eq!(reference.lines(bought), ["1,true,0"]);
    let sums =
        "SELECT (SELECT sum(total_minor) FROM order_lines) = sum(net_minor) FROM customer_360";
    assert_eq!(reference.value(sums), "true");
    let expected = reference.views();
    drop(reference);

    let by_day = Shop::start(1, ONLINE_RETAIL_VIEWS);
    let mut days: Vec<PathBuf> = fs::read_dir(&data)
        .expect("the data")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    days.sort();
    for day in &days {
        by_day.feed(online_retail(&[day]));
    }
    assert_same("one day at a time", &by_day.views(), &expected);
    drop(by_day);

    let at_once = Shop::start(2, ONLINE_RETAIL_VIEWS);
    at_once.feed_at_once(online_retail(&[&pattern]));
    assert_same("all at once", &at_once.views(), &expected);
    drop(at_once);

    let again = tempfile::tempdir().expect("a directory");
    for day in &days {
        let name = day.file_name().expect("a name");
        fs::copy(day, again.path().join(name)).expect("a copy");
    }
    let twice = Shop::start(1, ONLINE_RETAIL_VIEWS);
    twice.feed(FileOptions {
        identity: Identity::Path,
        ..online_retail(&[&pattern, &again.path().join("*.csv")])
    });
    assert_same("every file twice", &twice.views(), &expected);
}

fn assert_same(
    delivery: &str,
    views: &BTreeMap<String, Vec<String>>,
    expected: &BTreeMap<String, Vec<String>>,
) {
    assert!(views.keys().eq(expected.keys()));
    for (view, rows) in views {
        let expected = &expected[view];
        let first = rows.iter().zip(expected).find(|(row, other)| row != other);
        assert!(
            rows == expected,
            "{delivery}: {view} has {} rows, not {}; the first difference: {first:?}",
            rows.len(),
            expected.len()
        );
    }
}

#[test]
fn cdnow_gives_the_published_summary() {
    let Some(data) = shared_data("cdnow") else {
        return;
    };
    let shop = Shop::start(2, &["dataflows"]);
    let master = data.join("CDNOW_master.txt");
    shop.feed(FileOptions {
        clock: Clock::Event,
        delimiter: Delimiter::Whitespace,
        ..FileOptions::new(
            "cdnow_calibration",
            vec![master.display().to_string()],
            mappings("fixtures/cdnow/cdnow_calibration.sql"),
        )
    });
    assert_eq!(shop.value("SELECT count(*) FROM rejected_events"), "0");
    let rows = shop.lines(
        "SELECT customer_id, frequency, CAST(recency_weeks AS DOUBLE), CAST(t_weeks AS DOUBLE) \
         FROM customer_rfm",
    );
    let found: BTreeMap<&str, [f64; 3]> = rows.iter().map(|row| split(row)).collect();

    // The sample numbers its customers anew; its second column is the number in the summary.
    let sample = fs::read_to_string(data.join("CDNOW_sample.txt")).expect("the sample");
    let numbers: BTreeMap<u32, &str> = sample
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let master = fields.next()?;
            Some((fields.next()?.parse().expect("a number"), master))
        })
        .collect();
    let summary = fs::read_to_string(data.join("cdnow_customers_summary.csv")).expect("a summary");
    let mut checked = 0;
    for line in summary.lines().skip(1).filter(|line| !line.is_empty()) {
        let (number, expected) = split(line);
        let customer = numbers[&number.parse().expect("a number")];
        assert_eq!(
            found[customer], expected,
            "customer {customer}, {number} of the sample"
        );
        checked += 1;
    }
    assert_eq!(checked, 2357);
}

/// The first field, and the three numbers behind it.
fn split(line: &str) -> (&str, [f64; 3]) {
    let mut fields = line.split(',');
    let name = fields.next().expect("a first field");
    let numbers: Vec<f64> = fields
        .map(|field| field.trim().parse().expect("a number"))
        .collect();
    (name, numbers.try_into().expect("three numbers"))
}
