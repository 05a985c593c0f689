//! The chunk: sorted, consolidated updates as Arrow columns with lanes beside them.
//!
//! A row of a chunk is (key columns, value columns, time, differences). Rows are ordered by
//!
//! 1. `hashes`: a 64-bit hash of the key columns, so that sorting, merging and seeking compare
//!    one integer, and workers own ranges of it;
//! 2. `orders`: a hash of the value columns, or, in an ordered arrangement, the first eight bytes
//!    of a memory-comparable sort key, so that each group can be read from either end;
//! 3. all columns by bits, which settles ties of the two lanes;
//! 4. time.
//!
//! No two rows of a chunk sequence are equal in 1 to 4, and no row has all differences zero. The
//! difference of a row is its count and, where sums are maintained, one number per sum: a group
//! that is being summed is a single row whose difference holds the sums. The count is always
//! there, so a group whose sums happen to be zero does not vanish.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use arrow::buffer::ScalarBuffer;

use super::column::Column;
use super::lane::{Lane, Pick, gather_values};
use super::numbers::Word;
use super::tally::{Summary, Term};

/// The sums that a row's difference carries beside its count.
#[derive(Clone, Debug)]
pub enum SumLane {
    /// Sums that wrap at 64 bits.
    Narrow(Lane<i64>),
    /// Sums that wrap at 128 bits.
    Wide(Lane<i128>),
}

impl SumLane {
    /// The sum of a row.
    #[inline]
    pub fn get(&self, row: usize) -> i128 {
        match self {
            SumLane::Narrow(lane) => i128::from(lane.get(row)),
            SumLane::Wide(lane) => lane.get(row),
        }
    }

    fn is_zero(&self, row: usize) -> bool {
        match self {
            SumLane::Narrow(lane) => lane.get(row) == 0,
            SumLane::Wide(lane) => lane.get(row) == 0,
        }
    }

    /// The rows `offset..offset + length`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> SumLane {
        match self {
            SumLane::Narrow(lane) => SumLane::Narrow(lane.slice(offset, length)),
            SumLane::Wide(lane) => SumLane::Wide(lane.slice(offset, length)),
        }
    }

    fn packed(&self) -> SumLane {
        match self {
            SumLane::Narrow(lane) => SumLane::Narrow(lane.packed()),
            SumLane::Wide(lane) => SumLane::Wide(lane.packed()),
        }
    }

    /// The lanes at one position of several bodies as lanes of 64-bit numbers; `None` if wide.
    pub fn narrow<'a>(bodies: &[&'a Body], position: usize) -> Option<Vec<&'a Lane<i64>>> {
        bodies
            .iter()
            .map(|body| match &body.sums[position] {
                SumLane::Narrow(lane) => Some(lane),
                SumLane::Wide(_) => None,
            })
            .collect()
    }

    /// The lanes at one position of several bodies as lanes of 128-bit numbers; `None` if narrow.
    pub fn wide<'a>(bodies: &[&'a Body], position: usize) -> Option<Vec<&'a Lane<i128>>> {
        bodies
            .iter()
            .map(|body| match &body.sums[position] {
                SumLane::Wide(lane) => Some(lane),
                SumLane::Narrow(_) => None,
            })
            .collect()
    }

    /// The picked rows of the lanes at one position, each with further rows added to it, see
    /// [`Lane::gather_sum`].
    pub fn gather_sum(
        bodies: &[&Body],
        position: usize,
        picks: &[Pick],
        additions: &[(u32, Pick)],
    ) -> SumLane {
        Self::combine(
            bodies,
            position,
            |lanes| Lane::gather_sum(lanes, picks, additions),
            |lanes| Lane::gather_sum(lanes, picks, additions),
        )
    }

    fn combine(
        bodies: &[&Body],
        position: usize,
        narrow: impl FnOnce(&[&Lane<i64>]) -> Lane<i64>,
        wide: impl FnOnce(&[&Lane<i128>]) -> Lane<i128>,
    ) -> SumLane {
        if let Some(lanes) = Self::narrow(bodies, position) {
            return SumLane::Narrow(narrow(&lanes));
        }
        let lanes = Self::wide(bodies, position).expect("a lane is narrow or wide throughout");
        SumLane::Wide(wide(&lanes))
    }
}

/// The content of a chunk. Also used unsorted while a chunk is being formed.
#[derive(Clone, Debug)]
pub struct Body {
    /// Hash of the key columns.
    pub hashes: ScalarBuffer<u64>,
    /// Second sort criterion; constant 0 without value columns.
    pub orders: Lane<u64>,
    /// Key columns, then value columns.
    pub columns: Vec<Column>,
    /// How many of the columns are key columns.
    pub key_columns: usize,
    /// When the update happens, in milliseconds since the epoch.
    pub times: Lane<u64>,
    /// How many copies of the row are added.
    pub counts: Lane<i64>,
    /// What is added to each sum.
    pub sums: Vec<SumLane>,
}

impl Body {
    /// Number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether two rows have the same key.
    #[inline]
    pub fn same_key(&self, row: usize, other: &Body, other_row: usize) -> bool {
        self.hashes[row] == other.hashes[other_row]
            && (self.told_by_hash(other)..self.key_columns).all(|column| {
                self.columns[column].compare(row, &other.columns[column], other_row)
                    == Ordering::Equal
            })
    }

    /// How many of the first columns are equal in all rows of one hash, here and in another body.
    #[inline]
    fn told_by_hash(&self, other: &Body) -> usize {
        let is_told = self.key_columns == 1
            && self.columns[0].is_told_by_hash()
            && other.columns[0].is_told_by_hash();
        usize::from(is_told)
    }

    /// Compares two rows without their times.
    #[inline]
    pub fn compare_rows(&self, row: usize, other: &Body, other_row: usize) -> Ordering {
        self.hashes[row]
            .cmp(&other.hashes[other_row])
            .then_with(|| self.compare_within_hash(row, other, other_row))
    }

    /// Compares two rows of one hash without their times.
    #[inline]
    pub fn compare_within_hash(&self, row: usize, other: &Body, other_row: usize) -> Ordering {
        self.compare_first(row, other, other_row, self.columns.len())
    }

    /// The same by so many of the first columns.
    #[inline]
    pub fn compare_first(
        &self,
        row: usize,
        other: &Body,
        other_row: usize,
        columns: usize,
    ) -> Ordering {
        let mut ordering = self.orders.get(row).cmp(&other.orders.get(other_row));
        let mut column = self.told_by_hash(other);
        while ordering == Ordering::Equal && column < columns {
            ordering = self.columns[column].compare(row, &other.columns[column], other_row);
            column += 1;
        }
        ordering
    }

    /// The columns whose values take different numbers of bytes, those of all bodies of an
    /// arrangement.
    pub fn varying(&self) -> Vec<usize> {
        let columns = 0..self.columns.len();
        columns
            .filter(|column| self.columns[*column].varies())
            .collect()
    }

    /// The bytes of a row's values in some of those columns.
    #[inline]
    pub fn varying_bytes(&self, row: usize, columns: &[usize]) -> usize {
        let columns = columns.iter();
        columns
            .map(|column| self.columns[*column].varying_bytes(row))
            .sum()
    }

    /// The bytes of all rows in all of those columns.
    pub fn all_varying_bytes(&self) -> usize {
        self.columns.iter().map(Column::all_varying_bytes).sum()
    }

    /// The rows `offset..offset + length`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> Body {
        Body {
            hashes: self.hashes.slice(offset, length),
            orders: self.orders.slice(offset, length),
            columns: self
                .columns
                .iter()
                .map(|column| column.slice(offset, length))
                .collect(),
            key_columns: self.key_columns,
            times: self.times.slice(offset, length),
            counts: self.counts.slice(offset, length),
            sums: self
                .sums
                .iter()
                .map(|sum| sum.slice(offset, length))
                .collect(),
        }
    }

    /// The same rows with numbers in as few bytes as their range needs.
    pub fn packed(&self) -> Body {
        Body {
            hashes: self.hashes.clone(),
            orders: self.orders.packed(),
            columns: self.columns.iter().map(Column::packed).collect(),
            key_columns: self.key_columns,
            times: self.times.packed(),
            counts: self.counts.packed(),
            sums: self.sums.iter().map(SumLane::packed).collect(),
        }
    }

    /// The bodies one after the other.
    pub fn concat(bodies: &[&Body]) -> Body {
        let hashes: Vec<&[u64]> = bodies.iter().map(|body| &body.hashes[..]).collect();
        let first = bodies[0];
        Body {
            hashes: hashes.concat().into(),
            orders: Lane::concat(&lanes(bodies, |body| &body.orders)),
            columns: (0..first.columns.len())
                .map(|column| Column::concat(&columns(bodies, column)))
                .collect(),
            key_columns: first.key_columns,
            times: Lane::concat(&lanes(bodies, |body| &body.times)),
            counts: Lane::concat(&lanes(bodies, |body| &body.counts)),
            sums: (0..first.sums.len())
                .map(|sum| SumLane::combine(bodies, sum, Lane::concat, Lane::concat))
                .collect(),
        }
    }
}

fn lanes<'a, T: Word>(
    bodies: &[&'a Body],
    lane: impl Fn(&'a Body) -> &'a Lane<T>,
) -> Vec<&'a Lane<T>> {
    bodies.iter().map(|body| lane(body)).collect()
}

/// The columns at one position of several bodies.
pub fn columns<'a>(bodies: &[&'a Body], position: usize) -> Vec<&'a Column> {
    bodies.iter().map(|body| &body.columns[position]).collect()
}

/// A sorted, consolidated run of updates that is shared and never changed.
///
/// The handle knows its last hash, so that a seek over the chunks of a large batch looks at the
/// list of handles alone and not into each chunk's memory.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// `None` only in the default value, which stands for a chunk that has been taken.
    content: Option<Arc<Content>>,
    last_hash: u64,
}

#[derive(Debug)]
struct Content {
    body: Body,
    /// Made when it is first asked for.
    summary: OnceLock<Summary>,
    /// Looked for when it is first asked for.
    has_whole_groups: OnceLock<bool>,
}

/// A chunk of no rows, for the default value.
static EMPTY: std::sync::LazyLock<Body> = std::sync::LazyLock::new(|| Body {
    hashes: ScalarBuffer::from(Vec::new()),
    orders: Lane::Constant(0, 0),
    columns: Vec::new(),
    key_columns: 0,
    times: Lane::Constant(0, 0),
    counts: Lane::Constant(0, 0),
    sums: Vec::new(),
});

impl Chunk {
    /// Rows per chunk: it sets how long merges hold up other work, and so the tail of latency.
    pub const TARGET_ROWS: usize = 4096;
    /// Bytes of texts and the like from which on a chunk takes no further rows: a column may have
    /// no more than 2 GiB.
    pub const TARGET_BYTES: usize = 64 << 20;

    /// Wraps sorted, consolidated rows.
    pub fn new(body: Body) -> Chunk {
        Chunk {
            last_hash: body.hashes.last().copied().unwrap_or(0),
            content: Some(Arc::new(Content {
                body,
                summary: OnceLock::new(),
                has_whole_groups: OnceLock::new(),
            })),
        }
    }

    /// The same rows with numbers in as few bytes as their range needs.
    pub fn packed(&self) -> Chunk {
        let packed = Chunk::new(self.body().packed());
        let contents = (&self.content, &packed.content);
        if let (Some(content), Some(packed)) = contents
            && let Some(summary) = content.summary.get()
        {
            packed.summary.get_or_init(|| summary.clone());
        }
        packed
    }

    /// The hash of the last row, the greatest of the chunk; 0 if there is none.
    #[inline]
    pub fn last_hash(&self) -> u64 {
        self.last_hash
    }

    /// The rows.
    #[inline]
    pub fn body(&self) -> &Body {
        match &self.content {
            Some(content) => &content.body,
            None => &EMPTY,
        }
    }

    /// What all its rows come to. Whoever asks about an arrangement asks for the same terms, or
    /// for none.
    pub fn summary(&self, terms: &[Term]) -> Option<&Summary> {
        let content = self.content.as_ref()?;
        let make = || Summary::of(&content.body, terms);
        Some(content.summary.get_or_init(make))
    }

    /// The same, if it has been asked for before.
    pub fn known_summary(&self) -> Option<&Summary> {
        self.content.as_ref()?.summary.get()
    }

    /// Whether each of its rows is a group: no two have one hash, and each counts something.
    pub fn has_whole_groups(&self) -> bool {
        let Some(content) = &self.content else {
            return true;
        };
        let look = || {
            let mut pairs = content.body.hashes.windows(2);
            let mut counts = content.body.counts.iter();
            pairs.all(|pair| pair[0] < pair[1]) && counts.all(|count| count != 0)
        };
        *content.has_whole_groups.get_or_init(look)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.body().len()
    }

    /// The rows `offset..offset + length`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> Chunk {
        if offset == 0 && length == self.rows() {
            return self.clone();
        }
        Chunk::new(self.body().slice(offset, length))
    }
}

/// Rows picked from several bodies, equal ones added up: how chunks come into being.
pub struct Selection<'a> {
    /// What is picked from.
    pub sources: Vec<&'a Body>,
    /// One row of the result each, in order.
    pub picks: Vec<Pick>,
    /// Rows to be added to a row of the result: (position in the result, row).
    pub additions: Vec<(u32, Pick)>,
    /// The times of the result where they are not those of the picked rows.
    pub times: Option<Vec<u64>>,
}

impl<'a> Selection<'a> {
    /// Nothing picked yet.
    pub fn new(sources: Vec<&'a Body>) -> Selection<'a> {
        Selection {
            sources,
            picks: Vec::new(),
            additions: Vec::new(),
            times: None,
        }
    }

    /// Adds a row to the last one picked.
    pub fn add_to_last(&mut self, pick: Pick) {
        self.additions.push((self.picks.len() as u32 - 1, pick));
    }

    /// Gathers the picked rows, without those that added up to nothing, and starts anew.
    pub fn take(&mut self) -> Option<Body> {
        let mut picks = std::mem::take(&mut self.picks);
        let additions = std::mem::take(&mut self.additions);
        let times = self.times.as_mut().map(std::mem::take);
        if picks.is_empty() {
            return None;
        }
        let sources = &self.sources;
        let mut counts = Lane::gather_sum(&lanes(sources, |body| &body.counts), &picks, &additions);
        let mut sums: Vec<SumLane> = (0..sources[0].sums.len())
            .map(|sum| SumLane::gather_sum(sources, sum, &picks, &additions))
            .collect();
        let mut times: Lane<u64> = match times {
            Some(times) => times.into(),
            None => Lane::gather(&lanes(sources, |body| &body.times), &picks),
        };
        if let Some(kept) = nonzero_rows(&additions, picks.len(), &counts, &sums) {
            let keep = |row: &Pick| picks[row.row as usize];
            counts = Lane::gather(&[&counts], &kept);
            times = Lane::gather(&[&times], &kept);
            sums = sums.iter().map(|sum| gather_sum_lane(sum, &kept)).collect();
            picks = kept.iter().map(keep).collect();
            if picks.is_empty() {
                return None;
            }
        }
        let hashes: Vec<&[u64]> = sources.iter().map(|body| &body.hashes[..]).collect();
        Some(Body {
            hashes: gather_values(&hashes, &picks).into(),
            orders: Lane::gather(&lanes(sources, |body| &body.orders), &picks),
            columns: (0..sources[0].columns.len())
                .map(|column| Column::gather(&columns(sources, column), &picks))
                .collect(),
            key_columns: sources[0].key_columns,
            times,
            counts,
            sums,
        })
    }
}

/// The rows that remain, if any of those that were added to came to zero.
fn nonzero_rows(
    additions: &[(u32, Pick)],
    rows: usize,
    counts: &Lane<i64>,
    sums: &[SumLane],
) -> Option<Vec<Pick>> {
    let is_zero = |row: usize| counts.get(row) == 0 && sums.iter().all(|sum| sum.is_zero(row));
    if !additions.iter().any(|(row, _)| is_zero(*row as usize)) {
        return None;
    }
    let kept = (0..rows).filter(|row| !is_zero(*row)).map(|row| Pick {
        source: 0,
        row: row as u32,
    });
    Some(kept.collect())
}

fn gather_sum_lane(sum: &SumLane, picks: &[Pick]) -> SumLane {
    match sum {
        SumLane::Narrow(lane) => SumLane::Narrow(Lane::gather(&[lane], picks)),
        SumLane::Wide(lane) => SumLane::Wide(Lane::gather(&[lane], picks)),
    }
}
