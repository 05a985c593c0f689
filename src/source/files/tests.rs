//! Sources over real files in temporary directories.

use std::fs;
use std::io::Write;
use std::path::Path;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::record_batch::RecordBatch;

use super::*;
use crate::model::{ColumnDefinition, standard_tables};
use crate::source::Mapping;

const HEADER: &str = "id,day,amount\n";
const MAPPING: &str = "INSERT INTO sales SELECT CAST(id AS BIGINT) AS id, \
                       CAST(day AS TIMESTAMP) AS occurred_at, amount FROM raw";

fn tables() -> Vec<TableDefinition> {
    let column = |name: &str, data_type: DataType, nullable: bool| ColumnDefinition {
        name: name.into(),
        data_type,
        nullable,
        description: String::new(),
        default: None,
        max_length: None,
    };
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut tables = standard_tables();
    tables.push(TableDefinition {
        name: "sales".into(),
        description: String::new(),
        columns: vec![
            column("id", DataType::Int64, false),
            column("occurred_at", time, true),
            column("amount", DataType::Int64, true),
        ],
        primary_key: Vec::new(),
        version: Vec::new(),
        event_identity: Vec::new(),
        append_only: false,
    });
    tables
}

fn options(pattern: &Path) -> FileOptions {
    let mappings = Mapping::parse_all(MAPPING).expect("a mapping");
    FileOptions::new("shop", vec![pattern.display().to_string()], mappings)
}

fn open(options: &FileOptions, position: Option<&str>) -> Result<FileSource, SourceError> {
    FileSource::open(options.clone(), &tables(), position)
}

fn read_all(source: &mut FileSource) -> Result<Vec<Submission>, SourceError> {
    let mut submissions = Vec::new();
    while let Some(submission) = source.next()? {
        submissions.push(submission);
    }
    Ok(submissions)
}

fn ids(submissions: &[Submission]) -> Vec<i64> {
    let changes = submissions
        .iter()
        .flat_map(|submission| &submission.changes);
    let sales = changes.filter(|change| &*change.table == "sales");
    let ids = sales.flat_map(|change| change.rows.column(0).as_primitive::<Int64Type>().values());
    ids.copied().collect()
}

fn reasons(submissions: &[Submission]) -> Vec<(String, String)> {
    let changes = submissions
        .iter()
        .flat_map(|submission| &submission.changes);
    let rejected = changes.filter(|change| &*change.table == REJECTED_EVENTS);
    let rows = rejected.flat_map(|change| {
        let text = |name: &str| {
            change
                .rows
                .column_by_name(name)
                .expect(name)
                .as_string::<i32>()
        };
        let pairs = text("position").iter().zip(text("reason"));
        pairs.map(|(position, reason)| (position.unwrap().to_owned(), reason.unwrap().to_owned()))
    });
    rows.collect()
}

fn position(submission: &Submission) -> &str {
    &submission.position.as_ref().expect("a position").1
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn files_are_read_in_the_order_of_their_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let rows = |id: i64| format!("{HEADER}{id},2026-01-01,{id}\n");
    fs::write(directory.path().join("b.csv"), rows(2)).expect("written");
    fs::write(directory.path().join("a.csv.gz"), gzip(rows(1).as_bytes())).expect("written");
    let zstd = zstd::encode_all(rows(3).as_bytes(), 3).expect("in memory");
    fs::write(directory.path().join("c.csv.zst"), zstd).expect("written");
    let json = "{\"id\": 4, \"day\": \"2026-01-01\", \"amount\": \"4\"}\n";
    fs::write(directory.path().join("d.ndjson"), json).expect("written");
    let mut source = open(&options(&directory.path().join("*")), None).expect("opened");
    assert_eq!(ids(&read_all(&mut source).expect("read")), [1, 2, 3, 4]);
    let progress = source.progress();
    assert_eq!((progress.files_done, progress.files_total), (4, 4));
    assert_eq!(progress.rows_done, 4, "rows count on the wall clock, too");
    assert_eq!(progress.work_done, progress.work_total);
}

#[test]
fn a_file_delivered_twice_is_read_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!("{HEADER}1,2026-01-01,1\n");
    fs::write(directory.path().join("a.csv"), &text).expect("written");
    fs::write(directory.path().join("again.csv.gz"), gzip(text.as_bytes())).expect("written");
    let pattern = directory.path().join("a*");
    let mut source = open(&options(&pattern), None).expect("opened");
    let submissions = read_all(&mut source).expect("read");
    assert_eq!(ids(&submissions), [1]);
    assert_eq!(source.progress().files_skipped, 1);
    // Also by a later run.
    let mut source = open(&options(&pattern), Some(position(&submissions[0]))).expect("opened");
    assert!(read_all(&mut source).expect("read").is_empty());
}

#[test]
fn reading_goes_on_behind_every_position() {
    let directory = tempfile::tempdir().expect("a directory");
    let row = |id: i64| format!("{id},2026-01-{:02},{id}\n", 1 + (id * 7) % 20);
    for (file, ids) in [("a.csv", 0..25), ("b.csv", 25..50)] {
        let rows: String = ids.map(row).collect();
        fs::write(directory.path().join(file), format!("{HEADER}{rows}")).expect("written");
    }
    for clock in [Clock::Arrival, Clock::Event] {
        let mut options = options(&directory.path().join("*.csv"));
        options.clock = clock;
        options.rows_per_transaction = 4;
        let whole = read_all(&mut open(&options, None).expect("opened")).expect("read");
        assert_eq!(ids(&whole).len(), 50);
        for (index, submission) in whole.iter().enumerate() {
            let mut rest = open(&options, Some(position(submission))).expect("opened");
            let rest = read_all(&mut rest).expect("read");
            assert_eq!(
                ids(&rest),
                ids(&whole[index + 1..]),
                "{clock:?} behind {index}"
            );
        }
    }
}

#[test]
fn rows_of_parquet_come_in_transactions_of_the_asked_size() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("sales.parquet");
    let rows = 20_000;
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let day: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..rows).map(|_| "2026-01-01"),
    ));
    let columns = [("id", Arc::clone(&id)), ("day", day), ("amount", id)];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let file = fs::File::create(&path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("written");
    let mut options = options(&path);
    options.rows_per_transaction = 15_000;
    let whole = read_all(&mut open(&options, None).expect("opened")).expect("read");
    let sizes = whole
        .iter()
        .map(|submission| ids(std::slice::from_ref(submission)).len());
    assert_eq!(sizes.collect::<Vec<_>>(), [15_000, 5_000]);
    assert_eq!(ids(&whole), (0..rows).collect::<Vec<_>>());
    let mut rest = open(&options, Some(position(&whole[0]))).expect("opened");
    let rest = read_all(&mut rest).expect("read");
    assert_eq!(ids(&rest), ids(&whole[1..]));
}

#[test]
fn a_file_that_changed_behind_a_position_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.csv");
    fs::write(&path, format!("{HEADER}1,2026-01-01,1\n2,2026-01-02,2\n")).expect("written");
    let mut options = options(&path);
    options.rows_per_transaction = 1;
    let first = open(&options, None)
        .expect("opened")
        .next()
        .expect("read")
        .expect("a row");
    fs::write(&path, format!("{HEADER}9,2026-01-01,1\n2,2026-01-02,2\n")).expect("written");
    let mut source = open(&options, Some(position(&first))).expect("opened");
    let error = source.next().expect_err("changed").to_string();
    assert!(
        error.contains("has changed since its first 1 rows"),
        "{error}"
    );
    // One that has only grown is read on.
    fs::write(
        &path,
        format!("{HEADER}1,2026-01-01,1\n2,2026-01-02,2\n3,2026-01-03,3\n"),
    )
    .expect("written");
    let mut source = open(&options, Some(position(&first))).expect("opened");
    assert_eq!(ids(&read_all(&mut source).expect("read")), [2, 3]);
}

#[test]
fn on_the_clock_of_events_rows_come_in_the_order_of_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.csv");
    let rows = "1,2026-01-03,1\n2,2026-01-01,2\n3,2026-01-02T10:00:00,3\n4,2026-01-02,4\n";
    fs::write(&path, format!("{HEADER}{rows}")).expect("written");
    let mut options = options(&path);
    options.clock = Clock::Event;
    let submissions = read_all(&mut open(&options, None).expect("opened")).expect("read");
    assert_eq!(ids(&submissions), [2, 4, 3, 1]);
    let times: Vec<_> = submissions
        .iter()
        .map(|s| s.timestamp_ms.expect("a time"))
        .collect();
    assert_eq!(
        times,
        [1_767_225_600_000, 1_767_348_000_000, 1_767_398_400_000]
    );
}

#[test]
fn rows_that_do_not_map_are_kept_with_their_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.csv");
    let rows = "1,2026-01-01,1\nx,2026-01-01,2\n3,2026-13-01,3\n4,2026-01-01\n5,2026-01-01,1.5\n\
                ,2026-01-01,6\n7,2026-01-01,99999999999999999999\n8,2026-01-01,8\n";
    fs::write(&path, format!("{HEADER}{rows}")).expect("written");
    for clock in [Clock::Arrival, Clock::Event] {
        let mut options = options(&path);
        options.clock = clock;
        let mut source = open(&options, None).expect("opened");
        let submissions = read_all(&mut source).expect("read");
        assert_eq!(ids(&submissions), [1, 8]);
        let reasons = reasons(&submissions);
        let positions: Vec<&str> = reasons
            .iter()
            .map(|(position, _)| position.as_str())
            .collect();
        let expected = [
            "a.csv:2", "a.csv:3", "a.csv:4", "a.csv:5", "a.csv:6", "a.csv:7",
        ];
        assert_eq!(positions, expected, "{reasons:?}");
        assert!(reasons[2].1.contains("2 fields"), "{reasons:?}");
        assert!(reasons[4].1.contains("column id"), "{reasons:?}");
        assert_eq!(source.progress().rows_rejected, 6);
    }
}

#[test]
fn files_that_are_missing_or_half_written_are_errors() {
    let directory = tempfile::tempdir().expect("a directory");
    let nothing = open(&options(&directory.path().join("*.csv")), None);
    let error = nothing.err().expect("no file").to_string();
    assert!(error.contains("no file matches"), "{error}");
    let packed = gzip(format!("{HEADER}1,2026-01-01,1\n").repeat(50).as_bytes());
    for (name, bytes, reason) in [
        ("empty.csv", Vec::new(), "the file is empty"),
        (
            "quote.csv",
            format!("{HEADER}1,\"2026").into_bytes(),
            "within a quoted field",
        ),
        (
            "cut.csv",
            format!("{HEADER}1,2026-01-01,1\n2,20").into_bytes(),
            "was not written",
        ),
        (
            "cut.csv.gz",
            packed[..packed.len() - 9].to_vec(),
            "ends too early",
        ),
        (
            "cut.ndjson",
            b"{\"id\": 1}\n{\"id\": 2, \"da".to_vec(),
            "was not written",
        ),
        (
            "cut.parquet",
            b"PAR1 and no more".to_vec(),
            "not a whole Parquet file",
        ),
    ] {
        let path = directory.path().join(name);
        fs::write(&path, bytes).expect("written");
        let result = open(&options(&path), None).and_then(|mut source| read_all(&mut source));
        let error = result
            .err()
            .unwrap_or_else(|| panic!("{name} is read"))
            .to_string();
        assert!(
            error.contains(reason) && error.contains(name),
            "{name}: {error}"
        );
    }
}

#[test]
fn rows_that_are_made_to_break_the_reader_are_errors_of_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    // A few kilobytes that unpack to one record without end.
    let bomb = [HEADER.as_bytes(), b"1,", &vec![b'7'; 64 << 20]].concat();
    let packed = gzip(&bomb);
    assert!(packed.len() < 1 << 20, "{}", packed.len());
    let path = directory.path().join("bomb.csv.gz");
    fs::write(&path, packed).expect("written");
    let result = open(&options(&path), None).and_then(|mut source| read_all(&mut source));
    let error = result.expect_err("too long").to_string();
    assert!(
        error.contains("bomb.csv.gz") && error.contains("longer than"),
        "{error}"
    );
    // Nested so deep that a parser which calls itself would overflow its stack.
    let deep = 100_000;
    let nested = [
        format!("{}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("{}1{}", "{\"a\":".repeat(deep), "}".repeat(deep)),
    ];
    let wanted = nested.iter().zip(1..);
    let wanted = wanted.map(|(value, id)| {
        format!("{{\"id\": {value}, \"day\": \"2026-01-01\", \"amount\": \"{id}\"}}\n")
    });
    let ignored = nested.iter().zip(3..);
    let ignored = ignored.map(|(value, id)| {
        format!("{{\"x\": {value}, \"id\": {id}, \"day\": \"2026-01-01\", \"amount\": \"1\"}}\n")
    });
    let good = "{\"id\": 5, \"day\": \"2026-01-01\", \"amount\": \"5\"}\n".to_owned();
    let text: String = wanted.chain(ignored).chain([good]).collect();
    let path = directory.path().join("deep.ndjson");
    fs::write(&path, text).expect("written");
    let mut source = open(&options(&path), None).expect("opened");
    let submissions = read_all(&mut source).expect("read");
    let found = ids(&submissions);
    assert!(found.contains(&5) && !found.contains(&1), "{found:?}");
    let rejected = reasons(&submissions).len();
    assert_eq!(found.len() + rejected, 5, "{found:?}");
}

#[test]
fn what_comes_before_a_broken_end_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.csv");
    fs::write(
        &path,
        format!("{HEADER}1,2026-01-01,1\n2,2026-01-01,2\n3,20"),
    )
    .expect("written");
    let mut options = options(&path);
    options.rows_per_transaction = 2;
    let mut source = open(&options, None).expect("opened");
    let first = source.next().expect("read").expect("two rows");
    assert_eq!(ids(std::slice::from_ref(&first)), [1, 2]);
    source.next().expect_err("the file is cut");
    fs::write(
        &path,
        format!("{HEADER}1,2026-01-01,1\n2,2026-01-01,2\n3,2026-01-01,3\n"),
    )
    .expect("written");
    let mut source = open(&options, Some(position(&first))).expect("opened");
    assert_eq!(ids(&read_all(&mut source).expect("read")), [3]);
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.csv");
    fs::write(&path, format!("{HEADER}1,2026-01-01,1\n")).expect("written");
    let with = |mapping: &str| {
        let mut options = options(&path);
        options.mappings = Mapping::parse_all(mapping).expect("a mapping");
        open(&options, None).err().expect(mapping).to_string()
    };
    assert!(with("INSERT INTO sale SELECT 1 AS id FROM raw").contains("did you mean `sales`"));
    assert!(with("INSERT INTO sales SELECT amount FROM raw").contains("no column `id`"));
    assert!(
        with("INSERT INTO sales SELECT 1 AS id, day AS occured_at FROM raw")
            .contains("occurred_at")
    );
    assert!(with("INSERT INTO sales SELECT CAST(nr AS BIGINT) AS id FROM raw").contains("nr"));
    let mut timeless = options(&path);
    timeless.clock = Clock::Event;
    timeless.event_time = "happened_at".to_owned();
    let error = open(&timeless, None)
        .expect("opened")
        .next()
        .expect_err("no time")
        .to_string();
    assert!(error.contains("happened_at"), "{error}");
}
