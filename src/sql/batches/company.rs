//! One expression over rows by themselves, and over the same rows in the company of others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, make_array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::util::display::array_value_to_string;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::scalar::ScalarValue;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

use super::calls::Call;
use super::values::Kind;
use crate::sql::plan::Expression;

/// How many rows are tried at least: each value of a column is in some of them.
const ROWS: usize = 36;
/// How many rows that fail are put beside one that does not.
const FAILING: usize = 6;

/// Values of a column, or the reason why there are none.
type Answers = Result<ArrayRef, String>;

/// An expression with the rows that it is tried with.
pub struct Trial {
    expression: Expression,
    columns: Vec<Values>,
    schema: SchemaRef,
    /// What each row gives by itself.
    alone: Vec<Answers>,
    /// How what it gives in company differs: one example of each company.
    pub differences: Vec<Difference>,
}

/// How some rows differ in company from what they are alone.
pub struct Difference {
    pub company: &'static str,
    pub told: String,
    /// Whether there is no answer at all. A view then computes the rows alone.
    pub is_failure: bool,
}

/// A column of the rows that are tried.
struct Values {
    name: String,
    values: ArrayRef,
    /// Which value each row has.
    picks: Vec<u32>,
    /// A value that is not NULL, to stand where NULL is said to be.
    stand_in: Option<u32>,
}

impl Values {
    fn new(name: &str, values: &ArrayRef, random: &mut Pcg64) -> Values {
        let known = values.len() as u32;
        let mut picks: Vec<u32> = (0..ROWS as u32).map(|row| row % known).collect();
        picks.shuffle(random);
        Values {
            name: name.to_owned(),
            stand_in: (0..known).find(|pick| values.is_valid(*pick as usize)),
            values: Arc::clone(values),
            picks,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.values.is_null(self.picks[row] as usize)
    }

    fn of(&self, rows: &[usize]) -> ArrayRef {
        let picks = rows.iter().map(|row| self.picks[*row]);
        self.taken(UInt32Array::from_iter_values(picks))
    }

    /// The same with a value, which does not count, below each NULL.
    fn above_others(&self, rows: &[usize]) -> ArrayRef {
        let Some(stand_in) = self.stand_in else {
            return self.of(rows);
        };
        let picks = rows.iter().map(|row| match self.is_null(*row) {
            true => stand_in,
            false => self.picks[*row],
        });
        let shown = self.taken(UInt32Array::from_iter_values(picks));
        let nulls: Vec<bool> = rows.iter().map(|row| !self.is_null(*row)).collect();
        let nulls = Some(NullBuffer::from(nulls));
        let data = shown.to_data().into_builder().nulls(nulls).build();
        make_array(data.expect("the same column with NULLs"))
    }

    fn taken(&self, picks: UInt32Array) -> ArrayRef {
        take(self.values.as_ref(), &picks, None).expect("values of the column")
    }
}

impl Trial {
    /// Evaluates the expression of a call for each row by itself.
    pub fn new(expression: Expression, call: &Call, kinds: &[Kind], random: &mut Pcg64) -> Trial {
        let columns = call.columns.iter();
        let columns = columns.map(|(name, kind)| Values::new(name, &kinds[*kind].values, random));
        let columns: Vec<Values> = columns.collect();
        let fields = columns.iter();
        let fields =
            fields.map(|column| Field::new(&column.name, column.values.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut trial = Trial {
            expression,
            columns,
            schema,
            alone: Vec::new(),
            differences: Vec::new(),
        };
        let alone = (0..ROWS).map(|row| answers(&trial.expression, &trial.batch(&[row])));
        trial.alone = alone.collect();
        trial
    }

    /// How many rows have an answer.
    pub fn answered(&self) -> usize {
        self.alone.iter().filter(|answer| answer.is_ok()).count()
    }

    /// Brings the rows together in all ways.
    pub fn bring_together(&mut self) {
        let all: Vec<usize> = (0..ROWS).collect();
        let (good, failing): (Vec<usize>, Vec<usize>) =
            all.into_iter().partition(|row| self.alone[*row].is_ok());
        let Some(first) = good.first() else {
            return;
        };
        self.among("all rows", &good);
        let backwards: Vec<usize> = good.iter().rev().copied().collect();
        self.among("all rows backwards", &backwards);
        let has_null = |row: &usize| self.columns.iter().any(|column| column.is_null(*row));
        let (nulls, others): (Vec<usize>, Vec<usize>) =
            good.iter().copied().partition(|row| has_null(row));
        self.among("rows with NULL", &nulls);
        self.among("rows without NULL", &others);
        for pair in good.windows(2) {
            self.among("pairs", pair);
        }
        self.in_slices(&good);
        self.above_others(&good, &nulls);
        self.with_constants(&good);
        for row in failing.into_iter().take(FAILING) {
            self.beside_failing(*first, row);
        }
    }

    fn among(&mut self, company: &'static str, rows: &[usize]) {
        if !rows.is_empty() {
            let answers = answers(&self.expression, &self.batch(rows));
            self.compare(company, rows, answers);
        }
    }

    /// Parts of a batch that begin within it.
    fn in_slices(&mut self, rows: &[usize]) {
        let whole = self.batch(rows);
        for offset in [1, 3, 9] {
            for length in [1, 8, rows.len()] {
                let length = length.min(rows.len().saturating_sub(offset));
                if length > 0 {
                    let answers = answers(&self.expression, &whole.slice(offset, length));
                    self.compare("a slice", &rows[offset..offset + length], answers);
                }
            }
        }
    }

    /// NULLs that have other values below them.
    fn above_others(&mut self, rows: &[usize], nulls: &[usize]) {
        let whole = self.batch_above_others(rows);
        let answered = answers(&self.expression, &whole);
        self.compare("values below NULL", rows, answered);
        for row in nulls {
            let batch = self.batch_above_others(&[*row]);
            let answered = answers(&self.expression, &batch);
            self.compare("a value below NULL", &[*row], answered);
        }
    }

    /// Constants in the place of columns: of one for the rows that have the same value there, and
    /// of all for each row.
    fn with_constants(&mut self, rows: &[usize]) {
        for place in 0..self.columns.len() {
            let mut picks: Vec<u32> = Vec::new();
            picks.extend(rows.iter().map(|row| self.columns[place].picks[*row]));
            picks.sort_unstable();
            picks.dedup();
            for pick in picks {
                let has_pick = |row: &usize| self.columns[place].picks[*row] == pick;
                let same: Vec<usize> = rows.iter().copied().filter(has_pick).collect();
                let Some(expression) = self.constant(&self.expression, place, pick) else {
                    continue;
                };
                let answers = answers(&expression, &self.batch(&same));
                self.compare("a constant", &same, answers);
            }
        }
        for row in rows {
            let mut places = 0..self.columns.len();
            let constant = places.try_fold(Arc::clone(&self.expression), |expression, place| {
                self.constant(&expression, place, self.columns[place].picks[*row])
            });
            let Some(expression) = constant else {
                continue;
            };
            let answers = answers(&expression, &self.batch(&[*row]));
            self.compare("constants", &[*row], answers);
        }
    }

    /// A row that fails must not be saved by its company.
    fn beside_failing(&mut self, good: usize, failing: usize) {
        for rows in [[good, failing], [failing, good]] {
            let Ok(answers) = answers(&self.expression, &self.batch(&rows)) else {
                continue;
            };
            let place = rows.iter().position(|row| *row == failing);
            let given = shown(&answers, place.unwrap_or_default());
            let told = format!("{} fails alone, and is {given} here", self.told(failing));
            self.note("a row that fails", told, false);
        }
    }

    fn batch(&self, rows: &[usize]) -> RecordBatch {
        self.batch_of(rows, |column| column.of(rows))
    }

    fn batch_above_others(&self, rows: &[usize]) -> RecordBatch {
        self.batch_of(rows, |column| column.above_others(rows))
    }

    fn batch_of(&self, rows: &[usize], values: impl Fn(&Values) -> ArrayRef) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let columns = self.columns.iter().map(values).collect();
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        batch.expect("columns of the schema")
    }

    /// An expression with a value in the place of a column, if it takes one there.
    fn constant(&self, expression: &Expression, place: usize, pick: u32) -> Option<Expression> {
        let value = ScalarValue::try_from_array(&self.columns[place].values, pick as usize);
        let value: Expression = Arc::new(Literal::new(value.ok()?));
        let replaced = Arc::clone(expression).transform(|node| {
            let column = node.downcast_ref::<Column>().map(Column::index);
            Ok(match column == Some(place) {
                true => Transformed::yes(Arc::clone(&value)),
                false => Transformed::no(node),
            })
        });
        replaced.data().ok()
    }

    fn compare(&mut self, company: &'static str, rows: &[usize], answers: Answers) {
        let answers = match answers {
            Ok(answers) if answers.len() == rows.len() => answers,
            Ok(answers) => {
                let told = format!("{} answers for {} rows", answers.len(), rows.len());
                return self.note(company, told, true);
            }
            Err(reason) => return self.note(company, format!("it fails: {reason}"), true),
        };
        for (place, row) in rows.iter().enumerate() {
            let Ok(alone) = &self.alone[*row] else {
                continue;
            };
            if answers.slice(place, 1).as_ref() != alone.as_ref() {
                let (alone, given) = (shown(alone, 0), shown(&answers, place));
                let told = format!("{} gives {alone} alone, {given} here", self.told(*row));
                return self.note(company, told, false);
            }
        }
    }

    fn note(&mut self, company: &'static str, told: String, is_failure: bool) {
        let is_known =
            |known: &Difference| known.company == company && known.is_failure == is_failure;
        if !self.differences.iter().any(is_known) {
            self.differences.push(Difference {
                company,
                told,
                is_failure,
            });
        }
    }

    /// A row in words.
    fn told(&self, row: usize) -> String {
        let values = self.columns.iter().map(|column| {
            let value = shown(&column.values, column.picks[row] as usize);
            format!("{} = {value}", column.name)
        });
        values.collect::<Vec<String>>().join(", ")
    }
}

/// What an expression gives for a batch.
fn answers(expression: &Expression, batch: &RecordBatch) -> Answers {
    let rows = batch.num_rows();
    let tried = || expression.evaluate(batch)?.into_array(rows);
    match catch_unwind(AssertUnwindSafe(tried)) {
        Ok(Ok(answers)) => Ok(answers),
        Ok(Err(error)) => Err(error.strip_backtrace()),
        Err(_) => Err("it breaks down".to_owned()),
    }
}

/// A value with its type.
fn shown(values: &ArrayRef, row: usize) -> String {
    let data_type = values.data_type();
    if row >= values.len() {
        return "nothing".to_owned();
    }
    match values.is_null(row) {
        true => format!("NULL ({data_type})"),
        false => match array_value_to_string(values.as_ref(), row) {
            Ok(text) => format!("{text:?} ({data_type})"),
            Err(_) => format!("something ({data_type})"),
        },
    }
}
