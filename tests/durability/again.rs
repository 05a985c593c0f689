//! Input that comes again, in another order, by another clock, or behind something refused.

use std::sync::Arc;
use std::time::Duration;

use mainstem::log::fs::{FileSystem, MemoryFileSystem};
use mainstem::model::{ChangeKind, Submission};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

use super::{answers, change, define, durability, open, right_answers, rows_of, submission};

#[test]
fn input_that_comes_again_and_in_any_order_changes_no_answer() {
    const COUNT: i64 = 24;
    // Versions of items, some of which are deleted, and sales that each happen once.
    let deliver = |number: i64| {
        let shop = ["north", "south", "west"][number as usize % 3];
        let version = 10 * number;
        let kind = match number % 5 {
            4 => ChangeKind::Delete,
            _ => ChangeKind::Upsert,
        };
        let sale = [(number, number, shop)];
        Submission {
            changes: vec![
                change("stock", kind, &[(number % 7, version, shop)]),
                change("sales", ChangeKind::Upsert, &sale),
            ],
            ..Submission::default()
        }
    };
    let live = |order: &[i64]| {
        let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
        let durability = durability(&file_system);
        let mut engine = open(&durability).expect("opened");
        define(&engine).expect("defined");
        for (step, number) in order.iter().enumerate() {
            engine.submit(deliver(*number)).expect("submitted");
            if step % 16 == 7 {
                engine.checkpoint().expect("a checkpoint");
            }
            if step % 16 == 15 {
                engine.shutdown();
                engine = open(&durability).expect("opened again");
            }
        }
        engine.flush().expect("complete");
        let answers = answers(&engine);
        engine.shutdown();
        answers
    };
    let in_order: Vec<i64> = (0..COUNT).collect();
    let right = live(&in_order);
    assert!(right[1].1.len() == COUNT as usize && !right[4].1.is_empty());
    for seed in 0..6 {
        let mut random = Pcg64::seed_from_u64(seed);
        let mut again = in_order.repeat(3);
        again.shuffle(&mut random);
        assert_eq!(live(&again), right, "seed {seed}: {again:?}");
    }
    // The whole log once more, and backwards.
    let backwards: Vec<i64> = in_order.iter().rev().copied().collect();
    assert_eq!(live(&[in_order, backwards].concat()), right);
}

#[test]
fn timestamps_go_forward_whatever_the_clock_says() {
    const NOON: u64 = 1_700_000_000_000;
    const HOUR: u64 = 3_600_000;
    let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
    let durability = durability(&file_system);
    let mut engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    let mut newest = engine.read().expect("a moment").timestamp_ms();
    // An hour ahead, an hour back, the beginning of time.
    let clock = [NOON + HOUR, NOON - HOUR, 0, NOON];
    for (step, timestamp_ms) in clock.repeat(3).into_iter().enumerate() {
        let submission = Submission {
            timestamp_ms: Some(timestamp_ms),
            ..submission(step as i64)
        };
        engine.submit(submission).expect("submitted");
        if step % 3 == 1 {
            engine.checkpoint().expect("a checkpoint");
        }
        if step % 3 > 0 {
            engine.shutdown();
            engine = open(&durability).expect("opened again");
        }
        engine.flush().expect("complete");
        let moment = engine.read().expect("a moment").timestamp_ms();
        assert!(moment > newest, "{moment} after {newest}");
        newest = moment;
    }
    assert_eq!(newest, NOON + HOUR + clock.len() as u64 * 3 - 1);
    engine.shutdown();
}

#[test]
fn what_a_source_sends_after_something_refused_is_refused_until_it_has_been_told() {
    let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    engine.enqueue(submission(0)).expect("queued");
    let mut hole = submission(1);
    hole.changes[0].table = Arc::from("nowhere");
    engine.enqueue(hole).expect("queued");
    engine.enqueue(submission(2)).expect("queued");
    let error = engine.flush().expect_err("one of them was refused");
    assert_eq!(error.sqlstate(), "42P01", "{error}");
    engine.flush().expect("it has been told");
    // Its position has not passed over the hole; others go on, and so does it from there.
    assert_eq!(answers(&engine), right_answers(1)[1]);
    for number in 1..3 {
        engine.enqueue(submission(number)).expect("queued again");
    }
    engine.flush().expect("complete");
    assert_eq!(answers(&engine), right_answers(3)[3]);
    engine.shutdown();
}

#[test]
fn an_event_counts_again_beyond_the_window_and_never_within_it_also_after_restarts() {
    let event = |kind, id, at_ms| Submission {
        changes: vec![change("sales", kind, &[(id, 1, "north")])],
        timestamp_ms: Some(at_ms),
        position: None,
    };
    let (add, remove) = (ChangeKind::Upsert, ChangeKind::Delete);
    // What is handed in, and how many rows there are then. The window is 80 s.
    let history = [
        (add, 1, 1_000_000, 1),
        (add, 2, 1_005_000, 2),
        (remove, 2, 1_006_000, 1),
        (add, 2, 1_050_000, 1),
        (add, 1, 1_079_000, 1),
        (add, 3, 1_095_000, 2),
        (add, 1, 1_100_000, 3),
        (add, 2, 1_101_000, 4),
        (add, 1, 1_170_000, 4),
        (add, 3, 1_200_000, 5),
    ];
    for has_checkpoints in [false, true] {
        for restart_after in 0..=history.len() {
            let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
            let durability = durability(&file_system);
            let mut engine = open(&durability).expect("opened");
            define(&engine).expect("defined");
            let window = Some(Duration::from_secs(80));
            engine.remember_events(window).expect("remembered");
            for (step, (kind, id, at_ms, rows)) in history.into_iter().enumerate() {
                if step == restart_after {
                    if has_checkpoints {
                        engine.checkpoint().expect("a checkpoint");
                    }
                    engine.shutdown();
                    engine = open(&durability).expect("opened again");
                    let replayed = engine.recovered().transactions;
                    assert_eq!(replayed == 0, has_checkpoints, "{replayed}");
                    engine.remember_events(window).expect("as it was");
                }
                engine.submit(event(kind, id, at_ms)).expect("submitted");
                engine.flush().expect("complete");
                let found = rows_of(&engine, "sales").len();
                let place = format!("step {step}, {has_checkpoints}, restart {restart_after}");
                assert_eq!(found, rows, "{place}");
            }
            engine.shutdown();
        }
    }
}
