//! Inner joins of several inputs without intermediate rows, in plans.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::FieldRef;

use super::{Expression, Plan};

/// An inner equi-join of three or more inputs. What changes in one of them looks the others up, one
/// after another, so that nothing is kept but the inputs, arranged by each key they are looked up
/// by.
///
/// Columns are numbered through all inputs side by side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeltaJoin {
    /// What is joined.
    pub inputs: Vec<Arc<Plan>>,
    /// How a changed row of each input finds its partners.
    pub paths: Vec<Path>,
    /// The columns of the result.
    pub output: Vec<usize>,
}

/// From a changed row of one input to its partners in all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// What must be true of the row itself.
    pub condition: Option<Expression>,
    /// One for each of the other inputs.
    pub lookups: Vec<Lookup>,
}

/// Finding partners in one input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// The input.
    pub input: usize,
    /// Its key columns, by their position in it, each with the column known so far that it equals.
    pub on: Vec<(usize, usize)>,
    /// What must be true of the columns known then. It never fails.
    pub condition: Option<Expression>,
}

impl Lookup {
    /// The key columns, by their position in the input.
    pub fn key(&self) -> Vec<usize> {
        self.on.iter().map(|(column, _)| *column).collect()
    }
}

impl DeltaJoin {
    /// The number of an input's first column.
    pub fn offset(&self, input: usize) -> usize {
        offset(&self.inputs, input)
    }

    /// A column by its number.
    pub fn field(&self, column: usize) -> &FieldRef {
        let (input, position) = place(&self.inputs, column);
        &self.inputs[input].schema.fields()[position]
    }

    /// The inputs with the keys that they are looked up by; inputs that are equal count as the
    /// first of them.
    pub fn arrangements(&self) -> BTreeSet<(usize, Vec<usize>)> {
        let lookups = self.paths.iter().flat_map(|path| &path.lookups);
        let arranged = lookups.map(|lookup| {
            let input = &self.inputs[lookup.input];
            let first = self.inputs.iter().position(|other| other == input);
            (first.unwrap_or(lookup.input), lookup.key())
        });
        arranged.collect()
    }
}

/// The number of an input's first column.
pub fn offset(inputs: &[Arc<Plan>], input: usize) -> usize {
    let before = inputs[..input].iter();
    before.map(|input| input.schema.fields().len()).sum()
}

/// The input that a column belongs to, and its position there.
pub fn place(inputs: &[Arc<Plan>], column: usize) -> (usize, usize) {
    let mut position = column;
    for (number, input) in inputs.iter().enumerate() {
        let columns = input.schema.fields().len();
        if position < columns {
            return (number, position);
        }
        position -= columns;
    }
    (inputs.len(), position)
}
