//! A column inside the dataflow: an Arrow array with direct access to its words.
//!
//! Everything in an arrangement is compared and hashed by bits, never by SQL order: any fixed
//! total order does for finding equal rows. Where SQL's order matters (min, max, top-k) the rows
//! carry a memory-comparable sort key instead. Equality of bits is equality in DataFusion's sense
//! for grouping and joining (floats by total order, so NaN equals itself and -0.0 differs from
//! 0.0).

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, BinaryArray, BooleanArray, make_array, new_empty_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{concat, interleave};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use xxhash_rust::xxh3::xxh3_64;

use super::hash::{mix, mix_in};
use super::lane::Pick;
use super::numbers::{Numbers, Word};
use super::size::array_bytes;

/// An Arrow array with its words at hand, or the words alone in fewer bytes.
#[derive(Clone, Debug)]
pub struct Column {
    form: Form,
    nulls: Option<NullBuffer>,
    words: Words,
}

#[derive(Clone, Debug)]
enum Form {
    Array(ArrayRef),
    /// The array is made of the words when somebody asks for it.
    Packed(DataType),
}

#[derive(Clone, Debug)]
enum Words {
    One(ScalarBuffer<u8>),
    Four(Numbers<u32>),
    Eight(Numbers<u64>),
    Sixteen(Numbers<i128>),
    Bytes(OffsetBuffer<i32>, Buffer),
    /// Any other type, as memory-comparable rows.
    Encoded(BinaryArray),
}

/// What is asked of the numbers of a column whatever their width is; once a chunk, never once a
/// row.
trait AnyNumbers {
    /// How many.
    fn len(&self) -> usize;
    /// The memory they take in bytes.
    fn bytes(&self) -> usize;
    /// All of them as they are.
    fn buffer(&self) -> Buffer;
}

impl<T: Word> AnyNumbers for Numbers<T> {
    fn len(&self) -> usize {
        Numbers::len(self)
    }

    fn bytes(&self) -> usize {
        Numbers::bytes(self)
    }

    fn buffer(&self) -> Buffer {
        self.plain().into_inner()
    }
}

impl Column {
    /// Wraps an array of any type.
    pub fn new(array: ArrayRef) -> Column {
        let words = Words::of(&array);
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        Column {
            form: Form::Array(array),
            nulls,
            words,
        }
    }

    /// The Arrow array; made anew where the column is packed.
    pub fn array(&self) -> ArrayRef {
        let data_type = match &self.form {
            Form::Array(array) => return Arc::clone(array),
            Form::Packed(data_type) => data_type,
        };
        let Some(numbers) = self.words.numbers() else {
            unreachable!("only numbers are packed")
        };
        fixed_width_array(
            data_type,
            numbers.len(),
            numbers.buffer(),
            self.nulls.clone(),
        )
    }

    /// The type of the Arrow array.
    pub fn data_type(&self) -> &DataType {
        match &self.form {
            Form::Array(array) => array.data_type(),
            Form::Packed(data_type) => data_type,
        }
    }

    /// The same rows with numbers in as few bytes as their range needs.
    pub fn packed(&self) -> Column {
        let Some(words) = self.words.packed() else {
            return self.clone();
        };
        Column {
            form: Form::Packed(self.data_type().clone()),
            nulls: self.nulls.clone(),
            words,
        }
    }

    /// The memory its rows take in bytes.
    pub fn memory_bytes(&self) -> usize {
        match &self.form {
            Form::Array(array) => array_bytes(array),
            Form::Packed(_) => self.packed_bytes(),
        }
    }

    /// The memory that it holds on to in bytes, whole buffers of which it may be a part.
    pub fn held_bytes(&self) -> usize {
        match &self.form {
            Form::Array(array) => array.get_buffer_memory_size(),
            Form::Packed(_) => self.packed_bytes(),
        }
    }

    fn packed_bytes(&self) -> usize {
        let numbers = self.words.numbers().map_or(0, |numbers| numbers.bytes());
        let nulls = self.nulls.as_ref();
        numbers + nulls.map_or(0, |nulls| nulls.len().div_ceil(8))
    }

    /// The rows `offset..offset + length`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> Column {
        let nulls = self
            .nulls
            .as_ref()
            .map(|nulls| nulls.slice(offset, length))
            .filter(|nulls| nulls.null_count() > 0);
        let form = match &self.form {
            Form::Array(array) => Form::Array(array.slice(offset, length)),
            Form::Packed(data_type) => Form::Packed(data_type.clone()),
        };
        Column {
            form,
            nulls,
            words: self.words.slice(offset, length),
        }
    }

    /// Whether a row is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Whether rows whose hash is that of this column alone are equal if their hashes are: that of 8
    /// bytes is a bijection, see [`hash_rows`](super::hash::hash_rows).
    #[inline]
    pub fn is_told_by_hash(&self) -> bool {
        self.nulls.is_none() && matches!(self.words, Words::Eight(_))
    }

    /// Compares two rows by bits, NULL first.
    #[inline]
    pub fn compare(&self, row: usize, other: &Column, other_row: usize) -> Ordering {
        if self.nulls.is_some() || other.nulls.is_some() {
            match (self.is_null(row), other.is_null(other_row)) {
                (false, false) => {}
                (left, right) => return right.cmp(&left),
            }
        }
        match (&self.words, &other.words) {
            (Words::Eight(left), Words::Eight(right)) => left.get(row).cmp(&right.get(other_row)),
            (Words::Four(left), Words::Four(right)) => left.get(row).cmp(&right.get(other_row)),
            (Words::Sixteen(left), Words::Sixteen(right)) => {
                left.get(row).cmp(&right.get(other_row))
            }
            (Words::One(left), Words::One(right)) => left[row].cmp(&right[other_row]),
            (Words::Bytes(..), Words::Bytes(..)) => {
                self.words.bytes(row).cmp(other.words.bytes(other_row))
            }
            (Words::Encoded(left), Words::Encoded(right)) => {
                left.value(row).cmp(right.value(other_row))
            }
            _ => unreachable!("columns of one collection have one type"),
        }
    }

    /// Mixes the column into one hash per row.
    pub fn hash_into(&self, hashes: &mut [u64]) {
        match &self.nulls {
            None => self.words.hash_into(hashes, |_| false),
            Some(nulls) => self.words.hash_into(hashes, |row| nulls.is_null(row)),
        }
    }

    /// The value of a fixed-width row as a number with the same bits, 0 for NULL; `None` if the
    /// type is not of fixed width.
    pub fn word(&self, row: usize) -> Option<i128> {
        if self.is_null(row) {
            return Some(0);
        }
        match &self.words {
            Words::One(words) => Some(i128::from(words[row])),
            Words::Four(words) => Some(i128::from(words.get(row))),
            Words::Eight(words) => Some(i128::from(words.get(row))),
            Words::Sixteen(words) => Some(words.get(row)),
            Words::Bytes(..) | Words::Encoded(_) => None,
        }
    }

    /// Whether its values take different numbers of bytes.
    pub fn varies(&self) -> bool {
        matches!(self.words, Words::Bytes(..) | Words::Encoded(_))
    }

    /// The bytes of a row's value, if its type is one whose values take different numbers of them;
    /// else 0.
    #[inline]
    pub fn varying_bytes(&self, row: usize) -> usize {
        match &self.words {
            Words::Bytes(offsets, _) => (offsets[row + 1] - offsets[row]) as usize,
            Words::Encoded(rows) => rows.value_length(row) as usize,
            _ => 0,
        }
    }

    /// The same of all rows.
    pub fn all_varying_bytes(&self) -> usize {
        let between = |offsets: &[i32]| match (offsets.first(), offsets.last()) {
            (Some(first), Some(last)) => (last - first) as usize,
            _ => 0,
        };
        match &self.words {
            Words::Bytes(offsets, _) => between(&offsets[..]),
            Words::Encoded(rows) => between(rows.value_offsets()),
            _ => 0,
        }
    }

    /// Whether a row of a Boolean column is true.
    #[inline]
    pub fn is_true(&self, row: usize) -> bool {
        self.word(row) == Some(1)
    }

    /// The bytes of a string or binary row; empty for other types.
    pub fn bytes(&self, row: usize) -> &[u8] {
        match &self.words {
            Words::Bytes(..) => self.words.bytes(row),
            _ => &[],
        }
    }

    /// The picked rows of several columns of one type.
    pub fn gather(sources: &[&Column], picks: &[Pick]) -> Column {
        let data_type = sources[0].data_type();
        let buffer = match &sources[0].words {
            Words::Four(_) => gather_words(sources, picks, Words::four),
            Words::Eight(_) => gather_words(sources, picks, Words::eight),
            Words::Sixteen(_) => gather_words(sources, picks, Words::sixteen),
            _ => return Column::new(gather_array(sources, picks)),
        };
        let nulls = gather_nulls(sources, picks);
        Column::new(fixed_width_array(data_type, picks.len(), buffer, nulls))
    }

    /// The columns one after the other.
    pub fn concat(sources: &[&Column]) -> Column {
        let arrays: Vec<ArrayRef> = sources.iter().map(|column| column.array()).collect();
        let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        Column::new(concat(&arrays).expect("columns of one collection have one type"))
    }
}

impl Words {
    fn of(array: &ArrayRef) -> Words {
        let data_type = array.data_type();
        if let DataType::Boolean = data_type {
            let values = array.as_any().downcast_ref::<BooleanArray>();
            let values = values.expect("a Boolean array has Boolean type").values();
            return Words::One(values.iter().map(u8::from).collect());
        }
        let data = array.to_data();
        let (offset, length) = (data.offset(), data.len());
        match data_type {
            DataType::Utf8 | DataType::Binary => {
                let buffers = data.buffers();
                let offsets = ScalarBuffer::new(buffers[0].clone(), offset, length + 1);
                // An empty array may come without offsets.
                if array.is_empty() {
                    return Words::Bytes(OffsetBuffer::new_empty(), buffers[1].clone());
                }
                Words::Bytes(OffsetBuffer::new(offsets), buffers[1].clone())
            }
            other => match other.primitive_width() {
                Some(1) => Words::One(ScalarBuffer::new(data.buffers()[0].clone(), offset, length)),
                Some(4) => Words::Four(plain(&data)),
                Some(8) => Words::Eight(plain(&data)),
                Some(16) if matches!(other, DataType::Decimal128(..)) => {
                    Words::Sixteen(plain(&data))
                }
                _ => Words::Encoded(encode(array)),
            },
        }
    }

    fn slice(&self, offset: usize, length: usize) -> Words {
        match self {
            Words::One(words) => Words::One(words.slice(offset, length)),
            Words::Four(words) => Words::Four(words.slice(offset, length)),
            Words::Eight(words) => Words::Eight(words.slice(offset, length)),
            Words::Sixteen(words) => Words::Sixteen(words.slice(offset, length)),
            Words::Bytes(offsets, values) => {
                Words::Bytes(offsets.slice(offset, length), values.clone())
            }
            Words::Encoded(rows) => Words::Encoded(rows.slice(offset, length)),
        }
    }

    #[inline]
    fn bytes(&self, row: usize) -> &[u8] {
        match self {
            Words::Bytes(offsets, values) => {
                &values[offsets[row] as usize..offsets[row + 1] as usize]
            }
            _ => unreachable!("only called on byte columns"),
        }
    }

    /// The numbers, where they are of a width that can be packed.
    fn numbers(&self) -> Option<&dyn AnyNumbers> {
        match self {
            Words::Four(words) => Some(words),
            Words::Eight(words) => Some(words),
            Words::Sixteen(words) => Some(words),
            Words::One(_) | Words::Bytes(..) | Words::Encoded(_) => None,
        }
    }

    fn packed(&self) -> Option<Words> {
        match self {
            Words::Four(words) => words.packed().map(Words::Four),
            Words::Eight(words) => words.packed().map(Words::Eight),
            Words::Sixteen(words) => words.packed().map(Words::Sixteen),
            Words::One(_) | Words::Bytes(..) | Words::Encoded(_) => None,
        }
    }

    fn four(&self) -> &Numbers<u32> {
        match self {
            Words::Four(words) => words,
            _ => unreachable!("columns of one collection have one type"),
        }
    }

    fn eight(&self) -> &Numbers<u64> {
        match self {
            Words::Eight(words) => words,
            _ => unreachable!("columns of one collection have one type"),
        }
    }

    fn sixteen(&self) -> &Numbers<i128> {
        match self {
            Words::Sixteen(words) => words,
            _ => unreachable!("columns of one collection have one type"),
        }
    }

    fn hash_into(&self, hashes: &mut [u64], is_null: impl Fn(usize) -> bool) {
        match self {
            Words::Eight(words) => mix_in(hashes, is_null, words.plain().iter().copied()),
            Words::Four(words) => {
                let words = words.plain();
                mix_in(hashes, is_null, words.iter().map(|word| u64::from(*word)))
            }
            Words::One(words) => mix_in(hashes, is_null, words.iter().map(|word| u64::from(*word))),
            Words::Sixteen(words) => {
                let words = words.plain();
                let halves = words
                    .iter()
                    .map(|word| (*word as u64, (*word >> 64) as u64));
                mix_in(hashes, is_null, halves.map(|(low, high)| mix(low, high)));
            }
            Words::Bytes(..) => {
                let rows = 0..hashes.len();
                let bytes = rows.map(|row| xxh3_64(self.bytes(row)));
                mix_in(hashes, is_null, bytes);
            }
            Words::Encoded(rows) => {
                let bytes = (0..hashes.len()).map(|row| xxh3_64(rows.value(row)));
                mix_in(hashes, is_null, bytes);
            }
        }
    }
}

fn encode(array: &ArrayRef) -> BinaryArray {
    let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())]);
    converter
        .and_then(|converter| converter.convert_columns(&[Arc::clone(array)]))
        .and_then(|rows| rows.try_into_binary())
        .expect("types that cannot be encoded as rows are refused when a view is planned")
}

fn plain<T: Word>(data: &ArrayData) -> Numbers<T> {
    let words = data.buffers()[0].clone();
    Numbers::Plain(ScalarBuffer::new(words, data.offset(), data.len()))
}

fn gather_words<'a, T: Word>(
    sources: &[&'a Column],
    picks: &[Pick],
    words: impl Fn(&'a Words) -> &'a Numbers<T>,
) -> Buffer {
    let sources = sources.iter().map(|column| words(&column.words));
    Buffer::from_vec(Numbers::gather(&sources.collect::<Vec<_>>(), picks))
}

fn gather_nulls(sources: &[&Column], picks: &[Pick]) -> Option<NullBuffer> {
    if sources.iter().all(|column| column.nulls.is_none()) {
        return None;
    }
    Some(NullBuffer::from_iter(picks.iter().map(|pick| {
        !sources[pick.source as usize].is_null(pick.row as usize)
    })))
}

fn gather_array(sources: &[&Column], picks: &[Pick]) -> ArrayRef {
    if picks.is_empty() {
        return new_empty_array(sources[0].data_type());
    }
    let arrays: Vec<ArrayRef> = sources.iter().map(|column| column.array()).collect();
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    let indices: Vec<(usize, usize)> = picks
        .iter()
        .map(|pick| (pick.source as usize, pick.row as usize))
        .collect();
    interleave(&arrays, &indices).expect("picks are in range and columns have one type")
}

/// An array of a fixed-width type from its words.
pub fn fixed_width_array(
    data_type: &DataType,
    length: usize,
    words: Buffer,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let data = ArrayData::builder(data_type.clone())
        .len(length)
        .add_buffer(words)
        .nulls(nulls)
        .build();
    make_array(data.expect("the buffer has one word of the type's width per row"))
}
