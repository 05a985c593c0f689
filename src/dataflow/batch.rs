//! Batches: what arrangements are made of, and how they come to be from chunks that arrive.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use differential_dataflow::batcher::{Batcher, Extract};
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::chunk::{Body, Chunk, Selection};
use super::lane::Pick;
use super::merge::merge_all;

/// Sorted, consolidated updates in chunks that follow each other. Shared and never changed.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The chunks, none of them empty.
    pub chunks: Arc<Vec<Chunk>>,
    rows: usize,
}

impl Batch {
    /// A batch of these chunks; `None` if there are none.
    pub fn new(chunks: Vec<Chunk>) -> Option<Batch> {
        let rows = chunks.iter().map(Chunk::rows).sum();
        (rows > 0).then(|| Batch {
            chunks: Arc::new(chunks),
            rows,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Batches of a level that are merged into one of the next.
const RUNS_PER_LEVEL: usize = 8;

/// Batches with how often each has been merged; the numbers descend.
pub type Runs = Vec<(usize, Batch)>;

/// Collects chunks until their times are complete, merged as they come, so that many equal rows
/// do not wait side by side.
#[derive(Default)]
pub struct ChunkBatcher {
    /// What has arrived.
    runs: Rc<RefCell<Runs>>,
    least: Antichain<u64>,
}

impl ChunkBatcher {
    /// What waits, as long as the batcher is there.
    pub fn waiting(&self) -> Weak<RefCell<Runs>> {
        Rc::downgrade(&self.runs)
    }

    fn take_in(&mut self, chunk: Chunk) {
        let Some(batch) = Batch::new(cut(chunk)) else {
            return;
        };
        let mut runs = self.runs.borrow_mut();
        runs.push((0, batch));
        while let Some(start) = runs.len().checked_sub(RUNS_PER_LEVEL)
            && runs[start].0 == runs[runs.len() - 1].0
        {
            let level = runs[start].0 + 1;
            let equal = runs.drain(start..).map(|(_, batch)| batch).collect();
            if let Some(merged) = merge_all(equal) {
                runs.push((level, merged));
            }
        }
    }
}

impl Batcher<Chunk> for ChunkBatcher {
    fn insert(&mut self, chunk: &mut Chunk) {
        self.take_in(std::mem::take(chunk));
    }
}

impl Extract for ChunkBatcher {
    type Time = u64;
    type Output = Batch;

    fn extract<'a>(
        &'a mut self,
        upper: AntichainRef<'_, u64>,
    ) -> (Option<Batch>, AntichainRef<'a, u64>) {
        self.least = Antichain::new();
        let mut complete = Vec::new();
        let runs = self.runs.take();
        for (_, batch) in runs {
            let mut early = Vec::new();
            let mut late = Vec::new();
            for chunk in batch.chunks.iter() {
                split(chunk, upper, &mut early, &mut late, &mut self.least);
            }
            if late.is_empty() {
                complete.push(batch);
                continue;
            }
            complete.extend(Batch::new(early));
            let late = Batch::new(late).map(|batch| (0, batch));
            self.runs.borrow_mut().extend(late);
        }
        (merge_all(complete), self.least.borrow())
    }
}

/// Chunks of at most [`Chunk::TARGET_ROWS`].
pub fn cut(chunk: Chunk) -> Vec<Chunk> {
    let rows = chunk.rows();
    let starts = (0..rows).step_by(Chunk::TARGET_ROWS);
    starts
        .map(|start| chunk.slice(start, Chunk::TARGET_ROWS.min(rows - start)))
        .collect()
}

/// The rows of a chunk whose times are not at or behind `upper`, and the others, with their least
/// time.
fn split(
    chunk: &Chunk,
    upper: AntichainRef<'_, u64>,
    early: &mut Vec<Chunk>,
    late: &mut Vec<Chunk>,
    least: &mut Antichain<u64>,
) {
    let body = chunk.body();
    let is_late = |time: &u64| upper.less_equal(time);
    let mut count = 0;
    for time in body.times.iter().filter(is_late) {
        least.insert(time);
        count += 1;
    }
    if count == 0 {
        early.push(chunk.clone());
    } else if count == body.len() {
        late.push(chunk.clone());
    } else {
        early.extend(filter(body, |time| !is_late(&time)));
        late.extend(filter(body, |time| is_late(&time)));
    }
}

fn filter(body: &Body, keep: impl Fn(u64) -> bool) -> Option<Chunk> {
    let mut selection = Selection::new(vec![body]);
    let rows = (0..body.len()).filter(|row| keep(body.times.get(*row)));
    selection.picks = rows
        .map(|row| Pick {
            source: 0,
            row: row as u32,
        })
        .collect();
    selection.take().map(Chunk::new)
}
