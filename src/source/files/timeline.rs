//! Brings the rows of a file into the order of their time and cuts them into transactions.

use std::collections::VecDeque;
use std::path::Path;

use arrow::array::{Array, AsArray, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::super::error::SourceError;
use super::super::mapping::{MappedRows, Mapper};
use super::options::FileOptions;
use super::rejected::RejectedRow;
use crate::model::{Change, Submission};

/// Most raw rows of a file that is put in order, which happens in memory.
const ROWS_MAX: usize = 20_000_000;

/// The time of raw rows that map to nothing.
const NO_TIME: i64 = i64::MIN;

/// The mapped rows of one file.
pub struct Timeline {
    interval_us: i64,
    rows_per_transaction: usize,
    /// For each mapping, the column of its table that has the time.
    time_columns: Vec<Option<usize>>,
    /// The time of each raw row in microseconds: the latest of what it maps to.
    times: Vec<i64>,
    parts: Vec<Part>,
    rejected: Vec<RejectedRow>,
}

/// Mapped rows with the raw rows they came of, counted over the file.
struct Part {
    mapped: MappedRows,
    first: usize,
}

impl Timeline {
    /// An empty timeline.
    ///
    /// # Errors
    /// If no mapping gives a time.
    pub fn new(options: &FileOptions, mapper: &Mapper) -> Result<Timeline, SourceError> {
        let time_columns = mapper.column_positions(&options.event_time);
        if time_columns.iter().all(Option::is_none) {
            return Err(SourceError::Options {
                name: options.name.clone(),
                problem: format!(
                    "its clock is that of the events, and no mapping gives the column `{}`",
                    options.event_time
                ),
            });
        }
        Ok(Timeline {
            interval_us: i64::try_from(options.transaction_interval_ms)
                .unwrap_or(i64::MAX)
                .saturating_mul(1000),
            rows_per_transaction: options.rows_per_transaction,
            time_columns,
            times: Vec::new(),
            parts: Vec::new(),
            rejected: Vec::new(),
        })
    }

    /// Takes in what came of the next `raw_rows` rows.
    pub fn add(
        &mut self,
        path: &Path,
        raw_rows: usize,
        mapped: Vec<MappedRows>,
        rejected: Vec<RejectedRow>,
    ) -> Result<(), SourceError> {
        let first = self.times.len();
        if first + raw_rows > ROWS_MAX {
            let problem = format!(
                "the file has more than {ROWS_MAX} rows, too many to be put in the order of time; \
                 split it, or set the source's clock to \"wall\""
            );
            return Err(SourceError::file(path, "rows", problem));
        }
        self.times.resize(first + raw_rows, NO_TIME);
        let failed = |error: ArrowError| SourceError::file(path, "event time", error);
        for mapped in mapped {
            let column = self.time_columns.get(mapped.mapping).copied().flatten();
            if let Some(column) = column {
                let microseconds = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                let times = cast(mapped.rows.column(column), &microseconds).map_err(failed)?;
                let times = times.as_primitive::<TimestampMicrosecondType>();
                for (row, origin) in mapped.origins.values().iter().enumerate() {
                    if times.is_valid(row)
                        && let Some(known) = self.times.get_mut(first + *origin as usize)
                    {
                        *known = (*known).max(times.value(row));
                    }
                }
            }
            self.parts.push(Part { mapped, first });
        }
        self.rejected.extend(rejected);
        Ok(())
    }

    /// The rows that were rejected.
    pub fn take_rejected(&mut self) -> Vec<RejectedRow> {
        std::mem::take(&mut self.rejected)
    }

    /// The transactions behind the first `done` raw rows in the order of time, each with the rows
    /// done with it. A transaction's timestamp is the latest time in it.
    pub fn submissions(self, done: u64) -> Result<VecDeque<(Submission, u64)>, ArrowError> {
        let mut order: Vec<u32> = (0..self.times.len() as u32).collect();
        // Stable: rows of one time stay in the order of the file.
        order.sort_by_key(|row| self.time(*row));
        let mut ranks = vec![0u32; order.len()];
        for (rank, row) in order.iter().enumerate() {
            if let Some(slot) = ranks.get_mut(*row as usize) {
                *slot = rank as u32;
            }
        }
        let groups = self.groups(&ranks)?;
        let mut submissions = VecDeque::new();
        let mut start = 0;
        for end in self.cuts(&order) {
            if end as u64 > done {
                let latest_us = order.get(end - 1).map_or(NO_TIME, |row| self.time(*row));
                let changes = groups.iter().filter_map(|group| group.between(start, end));
                let submission = Submission {
                    changes: changes.collect(),
                    timestamp_ms: u64::try_from(latest_us / 1000).ok(),
                    position: None,
                };
                submissions.push_back((submission, end as u64));
            }
            start = end;
        }
        Ok(submissions)
    }

    fn time(&self, row: u32) -> i64 {
        self.times.get(row as usize).copied().unwrap_or(NO_TIME)
    }

    /// Where transactions end, as ranks: after a number of rows, or where an interval ends.
    fn cuts(&self, order: &[u32]) -> Vec<usize> {
        let mut cuts = Vec::new();
        let mut start = 0;
        let mut interval = None;
        for (rank, row) in order.iter().enumerate() {
            let time = self.time(*row);
            let is_full = rank - start >= self.rows_per_transaction;
            let now = (time != NO_TIME).then(|| time.div_euclid(self.interval_us));
            if rank > start && (is_full || (interval.is_some() && now != interval)) {
                cuts.push(rank);
                start = rank;
            }
            interval = now;
        }
        if !order.is_empty() {
            cuts.push(order.len());
        }
        cuts
    }

    /// The rows of each mapping and kind in the order of time.
    fn groups(&self, ranks: &[u32]) -> Result<Vec<Group>, ArrowError> {
        let mut kinds: Vec<(usize, crate::model::ChangeKind)> = Vec::new();
        for part in &self.parts {
            let kind = (part.mapped.mapping, part.mapped.kind);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.sort_by_key(|(mapping, _)| *mapping);
        let groups = kinds.into_iter().map(|kind| {
            let of_kind = |part: &&Part| (part.mapped.mapping, part.mapped.kind) == kind;
            Group::new(self.parts.iter().filter(of_kind), ranks)
        });
        groups.filter_map(Result::transpose).collect()
    }
}

/// Rows of one mapping and kind in the order of time, with the rank of each.
struct Group {
    change: Change,
    ranks: Vec<u32>,
}

impl Group {
    fn new<'p>(
        parts: impl Iterator<Item = &'p Part>,
        ranks: &[u32],
    ) -> Result<Option<Group>, ArrowError> {
        let parts: Vec<&Part> = parts.collect();
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        let rows = concat_batches(
            &first.mapped.rows.schema(),
            parts.iter().map(|part| &part.mapped.rows),
        )?;
        let origins = parts.iter().flat_map(|part| {
            let origins = part.mapped.origins.values().iter();
            origins.map(|origin| part.first + *origin as usize)
        });
        let ranks: Vec<u32> = origins
            .map(|row| ranks.get(row).copied().unwrap_or_default())
            .collect();
        let (rows, ranks) = in_order(rows, ranks)?;
        Ok(Some(Group {
            change: Change {
                table: first.mapped.table.clone(),
                kind: first.mapped.kind,
                rows,
            },
            ranks,
        }))
    }

    /// The rows with ranks from `start` to below `end`.
    fn between(&self, start: usize, end: usize) -> Option<Change> {
        let from = self.ranks.partition_point(|rank| (*rank as usize) < start);
        let to = self.ranks.partition_point(|rank| (*rank as usize) < end);
        (to > from).then(|| Change {
            rows: self.change.rows.slice(from, to - from),
            ..self.change.clone()
        })
    }
}

fn in_order(rows: RecordBatch, ranks: Vec<u32>) -> Result<(RecordBatch, Vec<u32>), ArrowError> {
    if ranks.is_sorted() {
        return Ok((rows, ranks));
    }
    let mut order: Vec<u32> = (0..ranks.len() as u32).collect();
    order.sort_by_key(|row| ranks.get(*row as usize).copied());
    let sorted = order
        .iter()
        .filter_map(|row| ranks.get(*row as usize).copied());
    let sorted = sorted.collect();
    Ok((take_record_batch(&rows, &UInt32Array::from(order))?, sorted))
}
