//! Conditions on `now()`: maps that read the clock become nodes that schedule changes.
//!
//! Runs over a finished plan. What compares `now()` becomes a condition of a
//! [`TemporalNode`], provided that it changes at most once for each row; everything else that
//! depends on the clock is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal, NotExpr};
use datafusion::physical_expr::{conjunction, split_conjunction};
use datafusion::scalar::ScalarValue;

use super::super::error::SqlError;
use super::super::functions::clock;
use super::super::place::of_part;
use super::super::plan::temporal::{
    Condition, LATEST_MS, Now, TemporalNode, Turn, reads_clock, replace_now,
};
use super::super::plan::{Expression, Join, JoinKind, Node, Plan, one_row};
use super::super::texts::interval_text::readable;
use super::monotone::{Trend, trend};
use super::written_clock::WrittenClock;
use super::{all_columns, plan_of};

/// The physical form of an expression that reads the clock; `None` if it does not.
pub(super) fn physical(
    expression: &Expr,
    schema: &DFSchema,
) -> Result<Option<Expression>, SqlError> {
    let Some((expression, wider)) = clock::moment_as_column(expression, schema)? else {
        return Ok(None);
    };
    let moment = schema.fields().len();
    let planned = super::unchecked(&expression, &wider)?;
    let planned = planned.transform(|node| {
        let is_moment = node
            .downcast_ref::<Column>()
            .is_some_and(|column| column.index() == moment);
        Ok(match is_moment {
            true => Transformed::yes(Arc::new(Now) as Expression),
            false => Transformed::no(node),
        })
    });
    Ok(Some(planned.data()?))
}

/// Lets everything in a plan that reads the clock follow it; what cannot is refused in the words of
/// its query.
pub fn schedule(plan: &Arc<Plan>, written: &WrittenClock) -> Result<Arc<Plan>, SqlError> {
    if !depends_on_clock(plan) {
        return Ok(Arc::clone(plan));
    }
    if let Some(map) = Map::of(plan) {
        return map.inlined()?.scheduled(plan, written);
    }
    match &plan.node {
        Node::Join(join) if join.residual.as_ref().is_some_and(reads_clock) => {
            schedule(&condition_above(join, plan, written)?, written)
        }
        _ => {
            let node = plan.node.with_inputs(|input| schedule(input, written))?;
            Ok(plan_of(node, Arc::clone(&plan.schema)))
        }
    }
}

fn depends_on_clock(plan: &Plan) -> bool {
    let own = match &plan.node {
        Node::Map {
            predicate,
            projection,
            ..
        } => predicate.iter().chain(projection).any(reads_clock),
        Node::Join(join) => join.residual.as_ref().is_some_and(reads_clock),
        _ => false,
    };
    own || plan
        .inputs()
        .into_iter()
        .any(|input| depends_on_clock(input))
}

/// A join on a condition that reads the clock, as a filter of the pairs.
fn condition_above(
    join: &Join,
    plan: &Plan,
    written: &WrittenClock,
) -> Result<Arc<Plan>, SqlError> {
    if join.kind != JoinKind::Inner {
        let conditions = join.residual.iter().flat_map(split_conjunction);
        let place = conditions
            .filter(|condition| reads_clock(condition))
            .find_map(|condition| written.condition(&columns_of(condition)))
            .and_then(of_part);
        return Err(SqlError::unsupported(
            "an outer or semi join whose condition compares now() with columns of both sides \
             cannot be maintained",
        )
        .at_known(place)
        .with_hint("compare now() in a WHERE clause, or with columns of one side only"));
    }
    let pairs = Node::Join(Join {
        residual: None,
        ..join.clone()
    });
    let node = Node::Map {
        input: plan_of(pairs, Arc::clone(&plan.schema)),
        predicate: join.residual.clone(),
        projection: all_columns(&plan.schema),
    };
    Ok(plan_of(node, Arc::clone(&plan.schema)))
}

struct Map {
    input: Arc<Plan>,
    predicate: Option<Expression>,
    projection: Vec<Expression>,
}

impl Map {
    /// The map of a plan, if it is one.
    fn of(plan: &Plan) -> Option<Map> {
        match &plan.node {
            Node::Map {
                input,
                predicate,
                projection,
            } => Some(Map {
                input: Arc::clone(input),
                predicate: predicate.clone(),
                projection: projection.clone(),
            }),
            _ => None,
        }
    }

    /// The same map over the rows from which the maps below compute values of the clock, so that
    /// the expressions stand where they are compared and no such value is a column in between.
    fn inlined(self) -> Result<Map, SqlError> {
        let Some(below) = Map::of(&self.input) else {
            return Ok(self);
        };
        let below = below.inlined()?;
        if !below.projection.iter().any(reads_clock) {
            return Ok(self);
        }
        let over = |expression: &Expression| substitute(expression, &below.projection);
        let predicate = self.predicate.as_ref().map(over).transpose()?;
        let projection = self.projection.iter().map(over).collect::<Result<_, _>>()?;
        let input = match below.predicate {
            None => below.input,
            predicate => {
                let schema = Arc::clone(&below.input.schema);
                let node = Node::Map {
                    predicate,
                    projection: all_columns(&schema),
                    input: below.input,
                };
                plan_of(node, schema)
            }
        };
        Ok(Map {
            input,
            predicate,
            projection,
        })
    }

    fn scheduled(self, plan: &Plan, written: &WrittenClock) -> Result<Arc<Plan>, SqlError> {
        let map = self.filtered_first();
        let mut conditions = Conditions {
            schema: &map.input.schema,
            written,
            found: Vec::new(),
        };
        let predicate = map.predicate.as_ref();
        let predicate = predicate.map(|predicate| conditions.extract(predicate));
        let projection = map.projection.iter();
        let projection = projection.map(|column| conditions.extract(column));
        let (predicate, projection) = (
            predicate.transpose()?,
            projection.collect::<Result<_, _>>()?,
        );
        let conditions = conditions.found;
        let input = schedule(&map.input, written)?;
        let node = match conditions.is_empty() {
            true => Node::Map {
                input,
                predicate,
                projection,
            },
            false => Node::Temporal(TemporalNode {
                input,
                conditions,
                predicate,
                projection,
            }),
        };
        Ok(plan_of(node, Arc::clone(&plan.schema)))
    }

    /// The same map over the rows that pass what its predicate says without asking for the time:
    /// the others need not wait for anything.
    fn filtered_first(self) -> Map {
        let Some(predicate) = &self.predicate else {
            return self;
        };
        let parts = split_conjunction(predicate).into_iter().cloned();
        let (moving, still): (Vec<Expression>, Vec<Expression>) = parts.partition(reads_clock);
        if still.is_empty() || moving.is_empty() {
            return self;
        }
        Map {
            input: super::filter(self.input, conjunction(still)),
            predicate: Some(conjunction(moving)),
            projection: self.projection,
        }
    }
}

fn substitute(expression: &Expression, columns: &[Expression]) -> Result<Expression, SqlError> {
    let substituted = Arc::clone(expression).transform_up(|node| {
        let position = node.downcast_ref::<Column>().map(Column::index);
        Ok(match position.and_then(|position| columns.get(position)) {
            Some(column) => Transformed::yes(Arc::clone(column)),
            None => Transformed::no(node),
        })
    });
    Ok(substituted.data()?)
}

/// The conditions found so far, each of which becomes a column behind those of the schema.
struct Conditions<'a> {
    schema: &'a Schema,
    /// The words of the query.
    written: &'a WrittenClock,
    found: Vec<Condition>,
}

impl Conditions<'_> {
    /// An expression in which what compares with the clock is read from the conditions' columns.
    fn extract(&mut self, expression: &Expression) -> Result<Expression, SqlError> {
        if !reads_clock(expression) {
            return Ok(Arc::clone(expression));
        }
        if let Some(binary) = expression.downcast_ref::<BinaryExpr>() {
            let is_order = matches!(
                binary.op(),
                Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
            );
            let is_boolean = binary.left().data_type(self.schema)?.is_null()
                || binary.left().data_type(self.schema)? == arrow::datatypes::DataType::Boolean;
            match binary.op() {
                _ if is_boolean => {}
                op if is_order => return self.condition(binary.left(), *op, binary.right()),
                Operator::Eq => return self.equality(binary),
                Operator::NotEq => {
                    return Ok(Arc::new(NotExpr::new(self.equality(binary)?)));
                }
                _ => {}
            }
        }
        if expression.downcast_ref::<Now>().is_some() {
            return Err(self.value_refused());
        }
        let children = expression.children();
        let children = children.into_iter().map(|child| self.extract(child));
        let children = children.collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::clone(expression).with_new_children(children)?)
    }

    /// Equality holds between two moments: while neither side is greater.
    fn equality(&mut self, binary: &BinaryExpr) -> Result<Expression, SqlError> {
        let at_least = self.condition(binary.left(), Operator::GtEq, binary.right())?;
        let at_most = self.condition(binary.left(), Operator::LtEq, binary.right())?;
        Ok(Arc::new(BinaryExpr::new(at_least, Operator::And, at_most)))
    }

    fn condition(
        &mut self,
        left: &Expression,
        operator: Operator,
        right: &Expression,
    ) -> Result<Expression, SqlError> {
        let comparison = BinaryExpr::new(Arc::clone(left), operator, Arc::clone(right));
        let expression: Expression = Arc::new(comparison);
        let (Some(left_trend), Some(right_trend)) =
            (trend(left, self.schema), trend(right, self.schema))
        else {
            return Err(self.refused(&expression));
        };
        let is_less = matches!(operator, Operator::Lt | Operator::LtEq);
        let (lesser, greater) = match is_less {
            true => (left_trend, right_trend),
            false => (right_trend, left_trend),
        };
        let turn = match (lesser, greater) {
            (Trend::Still | Trend::Backward, Trend::Still | Trend::Forward) => Turn::Begins,
            (Trend::Still | Trend::Forward, Trend::Still | Trend::Backward) => Turn::Ends,
            _ => return Err(self.refused(&expression)),
        };
        for side in [left, right] {
            check_range(side)?;
        }
        let condition = Condition { expression, turn };
        let known = self.found.iter().position(|other| *other == condition);
        let position = known.unwrap_or(self.found.len());
        let name = format!("[{}]", position + 1);
        if known.is_none() {
            self.found.push(condition);
        }
        let column = self.schema.fields().len() + position;
        Ok(Arc::new(Column::new(&name, column)))
    }

    fn value_refused(&self) -> SqlError {
        let call = self.written.value();
        let name = call.map_or("now()".to_owned(), ToString::to_string);
        SqlError::unsupported(format!(
            "the value of {name} changes all the time, so a view of it cannot be kept up to date"
        ))
        .at_known(call.and_then(of_part))
        .with_hint(
            "compare now() with a column (placed_at > now() - INTERVAL '28 days'), or compute \
             the value in the query that reads the view",
        )
    }

    fn refused(&self, expression: &Expression) -> SqlError {
        let written = self.written.condition(&columns_of(expression));
        let condition = match written {
            Some(written) => written.to_string(),
            None => readable(&expression.to_string()),
        };
        SqlError::unsupported(format!(
            "the condition {condition} may change more than once for a row as time passes, so it \
             cannot be scheduled"
        ))
        .at_known(written.and_then(of_part))
        .with_hint(
            "compare a column with now() plus or minus an interval of days, hours or less \
             (placed_at > now() - INTERVAL '28 days'); months can be taken from current_date or \
             from date_trunc('day', now())",
        )
    }
}

/// The names of the columns that an expression reads.
fn columns_of(expression: &Expression) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Some(column) = expression.downcast_ref::<Column>() {
        names.insert(column.name().to_owned());
    }
    for child in expression.children() {
        names.extend(columns_of(child));
    }
    names
}

/// Refuses what cannot be computed at all moments, as `now() - INTERVAL '900 years'`.
fn check_range(side: &Expression) -> Result<(), SqlError> {
    if !reads_clock(side) || reads_columns(side) {
        return Ok(());
    }
    for moment_ms in [0, LATEST_MS] {
        let moment = ScalarValue::TimestampMicrosecond(
            Some(moment_ms as i64 * 1000),
            Some(Arc::from("UTC")),
        );
        let value: Expression = Arc::new(Literal::new(moment));
        replace_now(side, &value)?.evaluate(&one_row())?;
    }
    Ok(())
}

fn reads_columns(expression: &Expression) -> bool {
    expression.downcast_ref::<Column>().is_some()
        || expression.children().into_iter().any(reads_columns)
}
