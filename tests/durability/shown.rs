//! What is computed while the log syncs is shown once it is synced.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mainstem::log::fs::{Fault, FaultyFileSystem, FileSystem, MemoryFileSystem};

use super::{answers, define, durability, open, submission};
use crate::tools::Waiting;

#[test]
fn rows_are_shown_once_they_are_synced() {
    let faulty = FaultyFileSystem::new(Arc::new(MemoryFileSystem::new()));
    let file_system: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    engine.submit(submission(0)).expect("submitted");
    engine.flush().expect("complete");
    let syncs = || {
        let buckets = engine.metrics().syncs.buckets.iter();
        buckets.map(|bucket| bucket.load(Relaxed)).sum::<u64>()
    };
    let (rows, before) = (answers(&engine), syncs());
    let time = Duration::from_millis(300);
    faulty.set_fault(Some(Fault::SlowSyncs { time }));
    std::thread::scope(|scope| {
        scope.spawn(|| engine.submit(submission(1)).expect("submitted"));
        let waiting = Waiting::begin();
        while answers(&engine) == rows {
            waiting.check("the rows are never shown");
        }
        assert!(syncs() > before, "shown before it is synced");
    });
    engine.shutdown();
}
