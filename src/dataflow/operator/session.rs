//! The sessions that a change touches.

use super::super::lane::Pick;
use super::group::Walk;
use super::recompute::Segment;

/// What parts sessions.
pub struct Sessions {
    /// The column of the times in the arrangement, which is sorted by it.
    pub time: usize,
    /// The longest time between two rows of one session.
    pub gap: i64,
}

impl Sessions {
    /// Reads all rows that are connected with one that changes, whether that is there or not: so
    /// the same unchanged rows are read before and after the change.
    pub fn read(
        &self,
        walk: &Walk,
        changed: &[Pick],
        as_of: Option<u64>,
        rows: &mut Vec<Pick>,
    ) -> Vec<Segment> {
        let mut segments = Vec::new();
        let mut changed = changed.iter().copied().peekable();
        while let Some(first) = changed.next() {
            let start = rows.len();
            let (mut back, mut forth) = walk.around(first);
            let mut edge = self.time_of(walk, first);
            while let Some((row, copies)) = walk.next_row(&mut back, as_of) {
                let time = self.time_of(walk, row);
                if !self.connects(time, edge) {
                    break;
                }
                if copies > 0 {
                    edge = time;
                    push(rows, row, copies);
                }
            }
            rows[start..].reverse();
            let mut edge = self.time_of(walk, first);
            while let Some((row, copies)) = walk.next_row(&mut forth, as_of) {
                let time = self.time_of(walk, row);
                if !self.connects(edge, time) {
                    break;
                }
                let next = changed.next_if(|next| walk.is_same_row(*next, row));
                if next.is_some() || copies > 0 {
                    edge = time;
                    push(rows, row, copies);
                }
            }
            segments.push(Segment {
                rows: start..rows.len(),
                wanted: start..rows.len(),
            });
        }
        segments
    }

    fn connects(&self, earlier: i64, later: i64) -> bool {
        later <= earlier.saturating_add(self.gap)
    }

    fn time_of(&self, walk: &Walk, row: Pick) -> i64 {
        let column = &walk.reader.body(row).columns[self.time];
        column.word(row.row as usize).unwrap_or(0) as i64
    }
}

fn push(rows: &mut Vec<Pick>, row: Pick, copies: i64) {
    let copies = usize::try_from(copies).unwrap_or(0);
    rows.extend(std::iter::repeat_n(row, copies));
}
