//! The generated history: the same everywhere, resumable, and with the shape that is promised.

use arrow::array::AsArray;
use arrow::datatypes::Decimal128Type;
use arrow::ipc::writer::StreamWriter;

use super::*;
use crate::model::Change;

fn options(seed: u64, days: u32) -> GeneratorOptions {
    GeneratorOptions {
        seed,
        scale_thousandths: 100,
        days,
        hours_per_transaction: 1,
    }
}

fn read(mut generator: Generator) -> Vec<Submission> {
    let mut submissions = Vec::new();
    while let Some(submission) = generator.next().expect("rows that fit the model") {
        submissions.push(submission);
    }
    assert_eq!(
        generator.progress().work_done,
        generator.progress().work_total
    );
    submissions
}

fn history(options: GeneratorOptions) -> Vec<Submission> {
    read(Generator::open(options, None).expect("good options"))
}

/// Everything that is handed out, as bytes.
fn bytes(submissions: &[Submission]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for submission in submissions {
        bytes.extend(format!("{:?} {:?}", submission.timestamp_ms, submission.position).bytes());
        for change in &submission.changes {
            bytes.extend(change.table.bytes());
            let mut writer = StreamWriter::try_new(&mut bytes, &change.rows.schema());
            let writer = writer.as_mut().expect("memory takes everything");
            writer.write(&change.rows).expect("memory takes everything");
        }
    }
    bytes
}

fn changes<'s>(
    submissions: &'s [Submission],
    table: &'static str,
) -> impl Iterator<Item = &'s Change> {
    let changes = submissions
        .iter()
        .flat_map(|submission| &submission.changes);
    changes.filter(move |change| &*change.table == table)
}

/// The texts of a column over all rows of a table, as they arrive.
fn texts(submissions: &[Submission], table: &'static str, column: &str) -> Vec<String> {
    let columns = changes(submissions, table).map(|change| {
        let column = change
            .rows
            .column_by_name(column)
            .expect("the model's column");
        column.as_string::<i32>().clone()
    });
    let values = columns.flat_map(|column| {
        let values = column.iter().map(|value| value.unwrap_or("").to_owned());
        values.collect::<Vec<_>>()
    });
    values.collect()
}

#[test]
fn the_same_options_give_the_same_events_and_others_do_not() {
    let once = bytes(&history(options(7, 12)));
    assert!(once == bytes(&history(options(7, 12))));
    assert!(once != bytes(&history(options(8, 12))));
}

#[test]
fn a_shorter_history_is_the_beginning_of_a_longer_one() {
    let (short, long) = (history(options(3, 5)), history(options(3, 9)));
    // The last hour of the short one also has what is still on its way.
    let hours = short.len() - 1;
    let rows = |submissions: &[Submission]| {
        let changes = submissions[..hours]
            .iter()
            .flat_map(|submission| &submission.changes);
        changes
            .map(|change| change.rows.clone())
            .collect::<Vec<_>>()
    };
    assert!(rows(&short) == rows(&long));
}

#[test]
fn a_history_goes_on_where_it_was_left() {
    let whole = history(options(5, 6));
    let (_, position) = whole[40].position.clone().expect("a position");
    let rest = Generator::open(options(5, 6), Some(&position)).expect("its own position");
    assert!(bytes(&read(rest)) == bytes(&whole[41..]));
    for other in [options(6, 6), options(5, 7)] {
        assert!(matches!(
            Generator::open(other, Some(&position)),
            Err(SourceError::Position { .. })
        ));
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let wrong = [
        (0, 5, 1),
        (1_000_001, 5, 1),
        (9, 0, 1),
        (9, 4_000, 1),
        (9, 5, 0),
        (9, 5, 5),
    ];
    for (scale_thousandths, days, hours_per_transaction) in wrong {
        let options = GeneratorOptions {
            seed: 1,
            scale_thousandths,
            days,
            hours_per_transaction,
        };
        assert!(matches!(
            Generator::open(options, None),
            Err(SourceError::Options { .. })
        ));
    }
}

#[test]
fn transactions_follow_each_other_on_the_clock_of_the_events() {
    const DAY_MS: u64 = 86_400_000;
    let start_ms = 1_735_689_600_000;
    let times = |hours_per_transaction| {
        let submissions = history(GeneratorOptions {
            hours_per_transaction,
            ..options(1, 4)
        });
        let times: Vec<u64> = submissions.iter().filter_map(|s| s.timestamp_ms).collect();
        assert_eq!(times.len(), submissions.len());
        times
    };
    let hourly = times(1);
    assert!(hourly.is_sorted_by(|earlier, later| earlier < later));
    assert_eq!(hourly.first(), Some(&(start_ms + DAY_MS / 24)));
    let ends: Vec<u64> = (1..5).map(|day| start_ms + day * DAY_MS).collect();
    assert_eq!(times(24), ends);
}

#[test]
fn longer_transactions_hold_the_same_rows() {
    let hourly = history(options(4, 8));
    let daily = history(GeneratorOptions {
        hours_per_transaction: 24,
        ..options(4, 8)
    });
    assert_eq!(daily.len(), 8);
    for table in rows::Table::ALL {
        let events = |submissions: &[Submission]| texts(submissions, table.name(), "event_id");
        assert!(events(&hourly) == events(&daily), "{}", table.name());
    }
}

#[test]
fn every_table_has_rows_and_some_come_twice_or_late() {
    let submissions = history(options(11, 45));
    for table in rows::Table::ALL {
        let events = texts(&submissions, table.name(), "event_id");
        assert!(!events.is_empty(), "{}", table.name());
    }
    let events = texts(&submissions, "orders", "event_id");
    let distinct: std::collections::BTreeSet<&String> = events.iter().collect();
    let repeated = events.len() - distinct.len();
    assert!(
        (5..200).contains(&repeated),
        "{repeated} of {}",
        events.len()
    );
    let late = submissions.iter().flat_map(|submission| {
        let hour_us = submission.timestamp_ms.unwrap_or(0) as i64 * 1000 - HOUR_US;
        let orders = submission.changes.iter().filter(|c| &*c.table == "orders");
        orders.flat_map(move |change| {
            let times = change.rows.column_by_name("occurred_at").expect("a column");
            let times = times.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
            let late = times.values().iter().filter(|time| **time < hour_us);
            vec![(); late.count()]
        })
    });
    assert!(late.count() > 20);
}

#[test]
fn no_stock_is_ever_negative() {
    let submissions = history(options(2, 60));
    let mut empty = 0;
    for change in changes(&submissions, "inventory_levels") {
        let quantities = change.rows.column_by_name("quantity").expect("a column");
        for quantity in quantities.as_primitive::<Decimal128Type>().values() {
            assert!(*quantity >= 0);
            empty += usize::from(*quantity == 0);
        }
    }
    assert!(empty > 0, "goods run out");
}

#[test]
fn a_year_has_its_shape() {
    let submissions = history(GeneratorOptions {
        scale_thousandths: 40,
        ..GeneratorOptions::default()
    });
    let sources = texts(&submissions, "orders", "source");
    let events = texts(&submissions, "orders", "event_id");
    let first = |source: &str| {
        let versions = sources.iter().zip(&events);
        let firsts = versions.filter(|(s, event)| *s == source && event.ends_with("/1"));
        firsts.count()
    };
    let orders = first("webshop") + first("tills") + first("marketplace");
    // Ten orders a day, some of them twice, some lost because nothing is there.
    assert!((3_000..4_000).contains(&orders), "{orders}");
    let web_percent = 100 * first("webshop") / orders;
    assert!((40..53).contains(&web_percent), "{web_percent}");
    let customers = texts(&submissions, "orders", "customer_id");
    let unknown = customers.iter().filter(|id| id.is_empty()).count();
    assert!(
        (15..45).contains(&(100 * unknown / customers.len())),
        "{unknown}"
    );
    let statuses = texts(&submissions, "orders", "status");
    let cancelled = statuses
        .iter()
        .filter(|status| *status == "cancelled")
        .count();
    assert!((1..6).contains(&(100 * cancelled / orders)), "{cancelled}");
}
