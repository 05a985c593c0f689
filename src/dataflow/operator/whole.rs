//! The rows of whole groups, as far as they can be computed at once.

use std::cmp::Ordering;

use super::super::lane::Pick;
use super::group::Walk;
use crate::sql::plan::function::RankLimit;

/// Most rows of a group.
const ROWS_MAX: usize = 100_000_000;

/// Most bytes of texts and the like in a group. A group before a change, after it, and what has been
/// read before it, stay below the 2 GiB that a column may have.
const BYTES_MAX: usize = 768 << 20;

/// Most bytes of what is computed of a group: a list of numbers is kept in up to ten times as many.
pub const RESULT_BYTES_MAX: usize = 128 << 20;

/// Bytes of groups that are read before results are given on.
pub const BYTES_AT_ONCE: usize = 256 << 20;

/// What a row counts for in that besides its texts, as a value of a list does.
const ROW_BYTES: usize = 16;

/// Which rows of groups are read.
pub struct Wanted {
    /// If only the first rows by the sort key of the arrangement are needed.
    pub limit: Option<RankLimit>,
    /// The columns whose values take different numbers of bytes, of those that are read.
    pub varying: Vec<usize>,
    /// Most rows, copies counted.
    pub rows_max: usize,
    /// Most bytes in the varying columns.
    pub bytes_max: usize,
}

/// What has been read of a group.
pub struct Whole {
    /// About the memory that it takes in bytes.
    pub bytes: usize,
    /// Why it cannot be computed.
    pub refusal: Option<String>,
}

impl Wanted {
    /// Rows up to a rank, as many as can be computed.
    pub fn new(limit: Option<RankLimit>, varying: Vec<usize>) -> Wanted {
        Wanted {
            limit,
            varying,
            rows_max: ROWS_MAX,
            bytes_max: BYTES_MAX,
        }
    }

    /// Appends the rows of a group as it was before the new batches (`None`), or is at a time within
    /// them. Of a group that is too large only the first row is appended: the refusal is the same
    /// whenever its rows are.
    pub fn read(&self, walk: &Walk, as_of: Option<u64>, rows: &mut Vec<Pick>) -> Whole {
        let start = rows.len();
        let mut bytes = 0usize;
        let mut places = walk.starts();
        let mut ranks = Ranks::default();
        while let Some((row, copies)) = walk.next_row(&mut places, as_of) {
            let copies = usize::try_from(copies).unwrap_or(0);
            let is_beyond = |limit| ranks.pass(walk, row, copies, limit);
            if copies > 0 && self.limit.is_some_and(is_beyond) {
                break;
            }
            let body = walk.reader.body(row);
            let of_row = body.varying_bytes(row.row as usize, &self.varying);
            bytes = bytes.saturating_add(of_row.saturating_mul(copies));
            let number = (rows.len() - start).saturating_add(copies);
            if let Some(refusal) = self.refusal(number, bytes) {
                let first = rows.get(start).copied().unwrap_or(row);
                rows.truncate(start);
                rows.push(first);
                return Whole {
                    bytes: 0,
                    refusal: Some(refusal),
                };
            }
            rows.extend(std::iter::repeat_n(row, copies));
        }
        Whole {
            bytes: bytes + (rows.len() - start) * ROW_BYTES,
            refusal: None,
        }
    }

    fn refusal(&self, rows: usize, bytes: usize) -> Option<String> {
        let what = match (rows > self.rows_max, bytes > self.bytes_max) {
            (true, _) => format!("{} rows", self.rows_max),
            (false, true) => format!("{} bytes of texts and lists", self.bytes_max),
            (false, false) => return None,
        };
        Some(format!(
            "a group of more than {what} cannot be computed anew"
        ))
    }
}

/// How far a walk has come.
#[derive(Default)]
struct Ranks {
    rows: u64,
    peers: u64,
    last: Option<Pick>,
}

impl Ranks {
    /// Takes the next row in; whether it is beyond the limit.
    fn pass(&mut self, walk: &Walk, row: Pick, copies: usize, limit: RankLimit) -> bool {
        let is_peer = |last: Pick| walk.compare_peers(last, row) == Ordering::Equal;
        if !self.last.is_some_and(is_peer) {
            let before = if limit.is_dense {
                self.peers
            } else {
                self.rows
            };
            if before >= limit.most {
                return true;
            }
            self.peers += 1;
        }
        self.rows += copies as u64;
        self.last = Some(row);
        false
    }
}
