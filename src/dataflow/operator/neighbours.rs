//! The rows near those that change, for results that depend on few rows before and behind.

use super::super::lane::Pick;
use super::group::Walk;
use super::recompute::Segment;
use crate::sql::plan::reach::Nearby;

/// Reads the rows of a group as of a time around those that change, which are given in order, and
/// appends them to `rows`.
///
/// A row that changes matters to those up to `reach.after` before it and `reach.before` behind it;
/// these are wanted. To compute them, as many rows again are read on either side. Rows that do not
/// change are counted alike before and after the change, so both times the same ones are wanted.
pub fn neighbours(
    walk: &Walk,
    changed: &[Pick],
    as_of: Option<u64>,
    reach: Nearby,
    rows: &mut Vec<Pick>,
) -> Vec<Segment> {
    let margin = usize::try_from(reach.before.saturating_add(reach.after)).unwrap_or(usize::MAX);
    let (before, after) = (reach.before as usize, reach.after as usize);
    let mut segments = Vec::new();
    let mut changed = changed.iter().copied().peekable();
    while let Some(first) = changed.next() {
        let start = rows.len();
        let (mut back, mut forth) = walk.around(first);
        while rows.len() - start < margin
            && let Some((row, copies)) = walk.next_row(&mut back, as_of)
        {
            push(rows, row, copies, start + margin);
        }
        rows[start..].reverse();
        let wanted_start = rows.len().saturating_sub(after).max(start);
        if let Some((row, copies)) = walk.next_row(&mut forth, as_of) {
            push(rows, row, copies, usize::MAX);
        }
        // Where the last of the changed rows ends.
        let mut last = rows.len();
        while rows.len() - last < margin
            && let Some((row, copies)) = walk.next_row(&mut forth, as_of)
        {
            if changed
                .next_if(|next| walk.is_same_row(*next, row))
                .is_some()
            {
                push(rows, row, copies, usize::MAX);
                last = rows.len();
            } else {
                push(rows, row, copies, last + margin);
            }
        }
        segments.push(Segment {
            rows: start..rows.len(),
            wanted: wanted_start..(last + before).min(rows.len()),
        });
    }
    segments
}

/// Appends the copies of a row, up to a number of rows.
fn push(rows: &mut Vec<Pick>, row: Pick, copies: i64, up_to: usize) {
    let room = up_to.saturating_sub(rows.len());
    let copies = usize::try_from(copies).unwrap_or(0).min(room);
    rows.extend(std::iter::repeat_n(row, copies));
}
