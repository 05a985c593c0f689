//! The order in which a changed row looks up the other inputs, and by which keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::logical_expr::Operator;
use datafusion::physical_expr::conjunction_opt;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};

use super::super::super::plan::delta_join::{Lookup, Path, offset, place};
use super::super::super::plan::{Expression, Plan};

/// A condition with the inputs it is about.
pub struct Condition {
    pub expression: Expression,
    pub inputs: BTreeSet<usize>,
}

/// What paths are made of, and the arrangements that those made so far look up.
pub struct Paths<'a> {
    pub inputs: &'a [Arc<Plan>],
    /// For each input columns that are unique together, by their position in it.
    pub unique: Vec<Vec<usize>>,
    /// Whether each input has all rows of its tables.
    pub is_whole: Vec<bool>,
    /// Columns that are equal.
    pub classes: Vec<BTreeSet<usize>>,
    /// For each join the positions of the classes that it is by.
    pub joins: Vec<BTreeSet<usize>>,
    pub conditions: Vec<Condition>,
    /// Whether an input may be looked up by a part of the columns that it is joined by.
    pub may_spread: bool,
    pub arrangements: BTreeSet<(usize, Vec<usize>)>,
}

/// A way to look up an input.
struct Candidate {
    input: usize,
    on: Vec<(usize, usize)>,
    is_unique: bool,
    /// Whether all columns of one of its joins are known.
    is_direct: bool,
}

impl Candidate {
    fn arrangement(&self) -> (usize, Vec<usize>) {
        let key = self.on.iter().map(|(column, _)| *column);
        (self.input, key.collect())
    }
}

impl Paths<'_> {
    /// The path of an input's changes: what leaves the fewest rows comes first, that is, look-ups
    /// by a unique key, and of these the ones in what has been filtered; then those by all columns
    /// of a join. `None` if a row would find many that have no part in the result.
    pub fn from(&mut self, source: usize) -> Option<Path> {
        let mut known = BTreeSet::from([source]);
        let condition = self.condition(&BTreeSet::new(), source, &[]);
        let mut lookups = Vec::new();
        while known.len() < self.inputs.len() {
            let waiting = (0..self.inputs.len()).filter(|input| !known.contains(input));
            let candidates = waiting.filter_map(|input| self.candidate(&known, input));
            let best = candidates.min_by_key(|candidate| {
                let is_new = !self.arrangements.contains(&candidate.arrangement());
                let is_whole = self.is_whole[candidate.input];
                let columns = std::cmp::Reverse(candidate.on.len());
                let is_worse = (!candidate.is_unique, !candidate.is_direct);
                (is_worse, is_whole, columns, is_new, candidate.input)
            })?;
            if !(best.is_unique || best.is_direct || self.may_spread) {
                return None;
            }
            self.arrangements.insert(best.arrangement());
            let condition = self.condition(&known, best.input, &best.on);
            known.insert(best.input);
            lookups.push(Lookup {
                input: best.input,
                on: best.on,
                condition,
            });
        }
        Some(Path { condition, lookups })
    }

    /// The inputs that are arranged more than once, each as often as that.
    pub fn further_arrangements(&self) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let arranged = self.arrangements.iter().map(|(input, _)| *input);
        arranged.filter(|input| !seen.insert(*input)).collect()
    }

    /// An input by a unique key, or by all its columns that equal something known.
    fn candidate(&self, known: &BTreeSet<usize>, input: usize) -> Option<Candidate> {
        let offset = offset(self.inputs, input);
        let mut on = Vec::new();
        let mut seen = BTreeSet::new();
        for (number, class) in self.classes.iter().enumerate() {
            let own = self.own_of(class, input);
            let Some(value) = self.known_of(class, known).filter(|_| !own.is_empty()) else {
                continue;
            };
            seen.insert(number);
            on.extend(own.into_iter().map(|column| (column - offset, value)));
        }
        on.sort_unstable();
        let unique = &self.unique[input];
        let has = |column: &usize| on.iter().any(|(own, _)| own == column);
        let is_unique = !unique.is_empty() && unique.iter().all(has);
        if is_unique {
            on.retain(|(column, _)| unique.contains(column));
        }
        (!on.is_empty()).then_some(Candidate {
            input,
            on,
            is_unique,
            is_direct: self.joins.iter().any(|join| join.is_subset(&seen)),
        })
    }

    /// What must hold when an input is looked up beside its key: the equalities that the key does
    /// not see to, and the conditions whose columns are all known then.
    fn condition(
        &self,
        known: &BTreeSet<usize>,
        input: usize,
        on: &[(usize, usize)],
    ) -> Option<Expression> {
        let offset = offset(self.inputs, input);
        let mut parts: Vec<Expression> = Vec::new();
        for class in &self.classes {
            let own = self.own_of(class, input);
            let Some(anchor) = self.known_of(class, known).or(own.first().copied()) else {
                continue;
            };
            let is_keyed = |column: usize| on.iter().any(|(own, _)| own + offset == column);
            let unseen = own.into_iter();
            let unseen = unseen.filter(|column| *column != anchor && !is_keyed(*column));
            parts.extend(unseen.map(|column| self.equal(anchor, column)));
        }
        let is_due = |condition: &&Condition| {
            let inputs = &condition.inputs;
            let mut others = inputs.iter().filter(|other| **other != input);
            let has_come = inputs.contains(&input) || (inputs.is_empty() && known.is_empty());
            has_come && others.all(|other| known.contains(other))
        };
        let due = self.conditions.iter().filter(is_due);
        parts.extend(due.map(|condition| Arc::clone(&condition.expression)));
        conjunction_opt(parts)
    }

    fn equal(&self, one: usize, other: usize) -> Expression {
        let (one, other) = (self.column(one), self.column(other));
        Arc::new(BinaryExpr::new(one, Operator::Eq, other))
    }

    fn column(&self, column: usize) -> Expression {
        let (input, position) = place(self.inputs, column);
        let name = self.inputs[input].schema.field(position).name();
        Arc::new(Column::new(name, column))
    }

    fn known_of(&self, class: &BTreeSet<usize>, known: &BTreeSet<usize>) -> Option<usize> {
        let mut columns = class.iter().copied();
        columns.find(|column| known.contains(&place(self.inputs, *column).0))
    }

    fn own_of(&self, class: &BTreeSet<usize>, input: usize) -> Vec<usize> {
        let columns = class.iter().copied();
        let own = columns.filter(|column| place(self.inputs, *column).0 == input);
        own.collect()
    }
}
