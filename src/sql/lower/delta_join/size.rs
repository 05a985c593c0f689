//! What is kept by joins one after another, and what by a delta join, without statistics.
//!
//! Two things are assumed: a row finds its partner by a unique key, and the side that refers to a
//! unique key has no fewer rows than the side that has it. So the result of such a join is no
//! smaller than either side, as long as nothing is filtered; and what is joined by no unique key
//! may be any number of times as large.

use std::collections::BTreeSet;

use datafusion::physical_expr::expressions::IsNotNullExpr;
use datafusion::physical_expr::split_conjunction;

use super::super::super::plan::{JoinKind, Node, Plan};

/// What is known of the rows of an input, or of a join.
#[derive(Clone)]
pub struct Side {
    /// The inputs that have no more rows.
    covers: BTreeSet<usize>,
    /// Columns whose values are unique together; none if none are known.
    unique: BTreeSet<usize>,
    /// Whether all rows are there that could be.
    is_whole: bool,
    /// Whether rows have been joined by a key that is unique on neither side.
    multiplies: bool,
}

impl Side {
    /// The rows of an input.
    pub fn input(number: usize, unique: BTreeSet<usize>, is_whole: bool) -> Side {
        Side {
            covers: BTreeSet::from([number]),
            unique,
            is_whole,
            multiplies: false,
        }
    }

    /// The rows of both sides, joined by columns of the one and of the other.
    pub fn joined(&self, other: &Side, on: &[(usize, usize)]) -> Side {
        let own_key: BTreeSet<usize> = on.iter().map(|(own, _)| *own).collect();
        let other_key: BTreeSet<usize> = on.iter().map(|(_, other)| *other).collect();
        let (own_unique, other_unique) = (self.is_unique(&own_key), other.is_unique(&other_key));
        let (left, right) = (self.covers.clone(), other.covers.clone());
        let both = || left.union(&right).copied().collect();
        let mut joined = Side {
            covers: BTreeSet::new(),
            unique: BTreeSet::new(),
            is_whole: self.is_whole && other.is_whole,
            multiplies: self.multiplies || other.multiplies || !(own_unique || other_unique),
        };
        // A key of more columns than make it unique is a filter, too.
        let mut is_filter = false;
        joined.covers = match (own_unique, other_unique) {
            // Which side has a row that the other has not is not known.
            (true, true) => BTreeSet::new(),
            (false, true) => {
                is_filter = other_key.len() > other.unique.len() || !other.is_whole;
                if self.is_whole { both() } else { left }
            }
            (true, false) => {
                is_filter = own_key.len() > self.unique.len() || !self.is_whole;
                if other.is_whole { both() } else { right }
            }
            (false, false) if joined.is_whole => both(),
            (false, false) => BTreeSet::new(),
        };
        joined.unique = match (own_unique, other_unique) {
            (_, true) => self.unique.clone(),
            (true, false) => other.unique.clone(),
            (false, false) => BTreeSet::new(),
        };
        if is_filter {
            joined.filter();
        }
        joined
    }

    /// Leaves some of the rows out.
    pub fn filter(&mut self) {
        self.covers.clear();
        self.is_whole = false;
    }

    /// Whether rows have been joined by a key that is unique on neither side.
    pub fn multiplies(&self) -> bool {
        self.multiplies
    }

    fn is_unique(&self, key: &BTreeSet<usize>) -> bool {
        !self.unique.is_empty() && self.unique.is_subset(key)
    }
}

/// Whether inputs that are arranged once more, each as often as it is named, are no larger than
/// the results of joins.
pub fn are_no_larger(inputs: &[usize], joins: &[Side]) -> bool {
    let mut free: Vec<&Side> = joins.iter().collect();
    inputs.iter().all(|input| {
        let covering = free.iter().position(|join| join.covers.contains(input));
        let Some(covering) = covering else {
            return false;
        };
        if !free[covering].multiplies {
            free.remove(covering);
        }
        true
    })
}

/// Whether a plan gives all rows of tables, or all groups of their rows.
pub fn is_whole(plan: &Plan) -> bool {
    match &plan.node {
        Node::Table { .. } | Node::View { .. } | Node::Constant { .. } => true,
        Node::Map {
            input, predicate, ..
        } => {
            let mut parts = predicate.iter().flat_map(split_conjunction);
            let is_no_null = parts.all(|part| part.downcast_ref::<IsNotNullExpr>().is_some());
            is_no_null && is_whole(input)
        }
        Node::Aggregate(node) => is_whole(&node.input),
        Node::Distinct { input } => is_whole(input),
        Node::Union { inputs } => inputs.iter().all(|input| is_whole(input)),
        Node::Join(join) => {
            matches!(join.kind, JoinKind::Left | JoinKind::Full) && is_whole(&join.left)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(number: usize, unique: &[usize]) -> Side {
        Side::input(number, unique.iter().copied().collect(), true)
    }

    #[test]
    fn a_join_by_a_unique_key_is_as_large_as_both_sides_unless_one_is_filtered() {
        let (lines, orders) = (table(0, &[0]), table(1, &[10]));
        let joined = lines.joined(&orders, &[(1, 10)]);
        assert!(are_no_larger(&[0], std::slice::from_ref(&joined)));
        assert!(are_no_larger(&[1], std::slice::from_ref(&joined)));
        assert!(!are_no_larger(&[0, 1], &[joined]));
        let mut recent = table(1, &[10]);
        recent.filter();
        let joined = lines.joined(&recent, &[(1, 10)]);
        assert!(!are_no_larger(&[0], &[joined]));
        let one_to_one = lines.joined(&orders, &[(0, 10)]);
        assert!(!are_no_larger(&[0], &[one_to_one]));
        let narrowed = lines.joined(&orders, &[(1, 10), (2, 11)]);
        assert!(!are_no_larger(&[0], &[narrowed]));
    }

    #[test]
    fn a_join_by_no_unique_key_may_be_larger_than_any_number_of_its_sides() {
        let joined = table(0, &[0]).joined(&table(1, &[]), &[(1, 10)]);
        assert!(are_no_larger(&[0, 0, 1, 1], std::slice::from_ref(&joined)));
        assert!(!are_no_larger(&[2], &[joined]));
    }
}
