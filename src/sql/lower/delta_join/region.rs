//! The inner joins that may become one: their inputs, what is equal, and what else must hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion::physical_expr::split_conjunction;

use super::super::super::catalog::Catalog;
use super::super::super::operators::comparison::is_planned_comparison;
use super::super::super::plan::delta_join::{Path, offset, place};
use super::super::super::plan::unique::unique_columns;
use super::super::super::plan::{Expression, Join, JoinKind, Node, Plan};
use super::super::{as_column, remap};
use super::paths::{Condition, Paths};
use super::positions;
use super::size::{Side, are_no_larger, is_whole};

/// Inner joins of inner joins. Columns are numbered through all inputs side by side.
pub struct Region<'a> {
    pub inputs: Vec<Arc<Plan>>,
    catalog: &'a Catalog,
    /// The columns that each join is by.
    joins: Vec<Vec<(usize, usize)>>,
    conditions: Vec<Expression>,
    /// The results of all joins but the topmost.
    intermediates: Vec<Side>,
}

/// Whether a plan is an inner join by a key, with nothing above it but a choice of columns and
/// rows.
pub fn is_joined(plan: &Plan) -> bool {
    match &plan.node {
        Node::Join(join) => {
            join.kind == JoinKind::Inner
                && !join.null_equals_null
                && !join.on.is_empty()
                && join.residual.iter().all(never_fails)
        }
        Node::Map {
            input,
            predicate,
            projection,
        } => {
            projection.iter().all(|column| as_column(column).is_some())
                && predicate.iter().all(never_fails)
                && is_joined(input)
        }
        _ => false,
    }
}

/// Whether an expression has a value for every row. What may fail must fail for the same rows
/// whichever input changes, so it is left for the rows of the result.
pub fn never_fails(expression: &Expression) -> bool {
    let is_safe = match expression.downcast_ref::<BinaryExpr>() {
        Some(binary) => {
            let operator = *binary.op();
            is_planned_comparison(operator) || operator.is_logic_operator()
        }
        None => {
            expression.downcast_ref::<Column>().is_some()
                || expression.downcast_ref::<Literal>().is_some()
                || expression.downcast_ref::<IsNullExpr>().is_some()
                || expression.downcast_ref::<IsNotNullExpr>().is_some()
                || expression.downcast_ref::<NotExpr>().is_some()
                || expression.downcast_ref::<InListExpr>().is_some()
        }
    };
    is_safe && expression.children().into_iter().all(never_fails)
}

impl<'a> Region<'a> {
    /// The joins of a plan down to a depth, and the columns of its rows; `None` if their inputs
    /// are rows of a recursion's level, of which there are many.
    pub fn of(plan: &Arc<Plan>, depth: usize, catalog: &'a Catalog) -> Option<(Self, Vec<usize>)> {
        let mut region = Region {
            inputs: Vec::new(),
            catalog,
            joins: Vec::new(),
            conditions: Vec::new(),
            intermediates: Vec::new(),
        };
        let (columns, _) = region.gather(plan, depth);
        region.intermediates.pop();
        let reads_level = region.inputs.iter().any(|input| reads_level(input));
        (!reads_level).then_some((region, columns))
    }

    /// Adds a plan; the numbers of its columns, and what is known of its rows.
    fn gather(&mut self, plan: &Arc<Plan>, depth: usize) -> (Vec<usize>, Side) {
        if depth == 0 || !is_joined(plan) {
            return self.input(plan);
        }
        match &plan.node {
            Node::Join(join) => self.join(join, depth - 1),
            Node::Map {
                input,
                predicate,
                projection,
            } => {
                let (below, mut side) = self.gather(input, depth);
                if let Some(predicate) = predicate {
                    self.add_conditions(std::slice::from_ref(predicate), &below);
                    side.filter();
                }
                let chosen = projection.iter().filter_map(as_column);
                (chosen.map(|column| below[column]).collect(), side)
            }
            _ => self.input(plan),
        }
    }

    fn input(&mut self, plan: &Arc<Plan>) -> (Vec<usize>, Side) {
        let number = self.inputs.len();
        self.inputs.push(Arc::clone(plan));
        let offset = offset(&self.inputs, number);
        let columns = (offset..offset + plan.schema.fields().len()).collect();
        let unique = unique_columns(plan, self.catalog);
        let unique = unique.into_iter().map(|column| offset + column);
        (
            columns,
            Side::input(number, unique.collect(), is_whole(plan)),
        )
    }

    fn join(&mut self, join: &Join, depth: usize) -> (Vec<usize>, Side) {
        let (left, left_side) = self.gather(&join.left, depth);
        let (right, right_side) = self.gather(&join.right, depth);
        let on = join.on.iter();
        let on: Vec<_> = on.map(|(one, other)| (left[*one], right[*other])).collect();
        let mut side = left_side.joined(&right_side, &on);
        self.joins.push(on);
        let columns = [left, right].concat();
        if let Some(residual) = &join.residual {
            self.add_conditions(std::slice::from_ref(residual), &columns);
            side.filter();
        }
        self.intermediates.push(side.clone());
        (columns, side)
    }

    /// Adds conditions on rows with these columns.
    pub fn add_conditions(&mut self, conditions: &[Expression], columns: &[usize]) {
        let parts = conditions.iter().flat_map(split_conjunction).cloned();
        let moved = parts.filter_map(|part| remap(part, |column| columns[column]).ok());
        self.conditions.extend(moved);
    }

    /// The paths of a delta join; `None` if it may keep more than the joins do.
    pub fn paths(&self) -> Option<Vec<Path>> {
        let unique = self.inputs.iter();
        let unique = unique.map(|input| unique_columns(input, self.catalog));
        let conditions = self.conditions.iter().map(|condition| Condition {
            expression: Arc::clone(condition),
            inputs: self.inputs_of(condition),
        });
        let classes = self.classes();
        let class = |column: &usize| classes.iter().position(|class| class.contains(column));
        let joins = self.joins.iter();
        let joins = joins.map(|on| on.iter().filter_map(|(one, _)| class(one)).collect());
        let joins = joins.collect();
        let mut planned = Paths {
            inputs: &self.inputs,
            unique: unique.collect(),
            is_whole: self.inputs.iter().map(|input| is_whole(input)).collect(),
            joins,
            // Where no key is known to be unique, a join that is kept may spread as well.
            may_spread: self.intermediates.iter().all(Side::multiplies),
            classes,
            conditions: conditions.collect(),
            arrangements: BTreeSet::new(),
        };
        let sources = 0..self.inputs.len();
        let paths: Option<Vec<Path>> = sources.map(|source| planned.from(source)).collect();
        let further = planned.further_arrangements();
        are_no_larger(&further, &self.intermediates).then_some(paths?)
    }

    fn inputs_of(&self, condition: &Expression) -> BTreeSet<usize> {
        let columns = positions(condition).into_iter();
        columns
            .map(|column| place(&self.inputs, column).0)
            .collect()
    }

    /// Columns that are all equal.
    fn classes(&self) -> Vec<BTreeSet<usize>> {
        let mut classes: Vec<BTreeSet<usize>> = Vec::new();
        for (one, other) in self.joins.iter().flatten() {
            let is_apart = |class: &BTreeSet<usize>| !class.contains(one) && !class.contains(other);
            let (apart, together): (Vec<_>, Vec<_>) = classes.into_iter().partition(is_apart);
            let mut merged: BTreeSet<usize> = together.into_iter().flatten().collect();
            merged.extend([*one, *other]);
            classes = apart;
            classes.push(merged);
        }
        classes
    }
}

fn reads_level(plan: &Plan) -> bool {
    matches!(plan.node, Node::Level { .. })
        || plan.inputs().into_iter().any(|input| reads_level(input))
}
