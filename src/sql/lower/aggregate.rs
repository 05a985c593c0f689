//! Grouped aggregation.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::logical_expr::expr::AggregateFunction as LogicalCall;
use datafusion::logical_expr::{Aggregate as LogicalAggregate, Expr};

use super::super::error::SqlError;
use super::super::plan::function::Pick;
use super::super::plan::{
    Aggregate, AggregateFunction, AggregateNode, Expression, Node, Plan, TopK,
};
use super::trial::check_aggregates;
use super::zero::one_zero;
use super::{arrow_schema, call, column_of, grouping, map, physical_all, plan_of, refused};

/// Lowers an aggregation: keys, arguments and filters become columns of a map below.
pub fn lower(node: &LogicalAggregate) -> Result<Arc<Plan>, SqlError> {
    match &node.group_expr[..] {
        [Expr::GroupingSet(sets)] => grouping::lower(node, sets),
        keys => grouped(node, keys, arrow_schema(&node.schema)),
    }
}

/// The aggregates of a node grouped by some keys; `schema` has the keys, then the results.
pub fn grouped(
    node: &LogicalAggregate,
    keys: &[Expr],
    schema: SchemaRef,
) -> Result<Arc<Plan>, SqlError> {
    let input = super::lower(&node.input)?;
    let keys = physical_all(keys, node.input.schema())?.into_iter();
    let keys = keys.map(|key| one_zero(key, &input.schema));
    let mut columns = Columns {
        input: Arc::clone(&input),
        projection: keys.collect::<Result<_, _>>()?,
    };
    let keys: Vec<usize> = (0..columns.projection.len()).collect();
    let mut aggregates = Vec::new();
    for (position, expression) in node.aggr_expr.iter().enumerate() {
        let data_type = schema.field(keys.len() + position).data_type();
        let logical = logical_call(expression)?;
        let aggregate = call::aggregate(logical, data_type, node.input.schema(), &mut columns)?;
        aggregates.push(aggregate);
    }
    let input = columns.finish()?;
    if aggregates.is_empty() && !keys.is_empty() {
        return Ok(plan_of(Node::Distinct { input }, schema));
    }
    if let Some(pick) = only_pick(&keys, &aggregates) {
        let pick = pick.clone();
        return Ok(picked_rows(input, keys, &aggregates, pick, schema));
    }
    check_aggregates(&aggregates, &input.schema, keys.is_empty())?;
    let node = Node::Aggregate(AggregateNode {
        input,
        keys,
        aggregates,
    });
    Ok(plan_of(node, schema))
}

fn logical_call(expression: &Expr) -> Result<&LogicalCall, SqlError> {
    match expression {
        Expr::Alias(alias) => logical_call(&alias.expr),
        Expr::AggregateFunction(call) => Ok(call),
        other => Err(refused(&format!("the aggregate {other}"))),
    }
}

/// The columns that the aggregation reads, each once.
pub struct Columns {
    /// What is read.
    pub input: Arc<Plan>,
    projection: Vec<Expression>,
}

impl Columns {
    /// The position of an expression's value. Grouping columns keep positions of their own, so
    /// that two equal ones do not become one.
    pub fn position(&mut self, expression: Expression) -> usize {
        let known = self
            .projection
            .iter()
            .position(|other| other.as_ref() == expression.as_ref());
        known.unwrap_or_else(|| {
            self.projection.push(expression);
            self.projection.len() - 1
        })
    }

    fn finish(self) -> Result<Arc<Plan>, SqlError> {
        let mut fields = Vec::new();
        for expression in &self.projection {
            fields.push(Field::new(
                expression.to_string(),
                expression.data_type(&self.input.schema)?,
                expression.nullable(&self.input.schema)?,
            ));
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(map(self.input, None, self.projection, schema))
    }
}

/// The row of each group that all aggregates pick their values from, if that is all they do: the
/// form of `DISTINCT ON`.
fn only_pick<'a>(keys: &[usize], aggregates: &'a [Aggregate]) -> Option<&'a Pick> {
    let pick = |aggregate: &'a Aggregate| match &aggregate.function {
        AggregateFunction::Pick(pick) if aggregate.filter.is_none() => Some(pick),
        _ => None,
    };
    let first = pick(aggregates.first()?)?;
    let is_same = |aggregate| pick(aggregate) == Some(first);
    // A group without a row at the position, or without any row that is not NULL, is still there.
    let every_group_has_one = first.offset == 0 && !first.ignore_nulls && !keys.is_empty();
    (every_group_has_one && aggregates.iter().all(is_same)).then_some(first)
}

fn picked_rows(
    input: Arc<Plan>,
    keys: Vec<usize>,
    aggregates: &[Aggregate],
    pick: Pick,
    schema: SchemaRef,
) -> Arc<Plan> {
    let arguments = aggregates.iter().filter_map(|aggregate| aggregate.argument);
    let kept: Vec<usize> = keys.iter().copied().chain(arguments).collect();
    let widened = Arc::clone(&input.schema);
    let top = Node::TopK(TopK {
        input,
        partition: keys,
        order: pick.order,
        offset: pick.offset,
        limit: Some(1),
        emit_position: false,
    });
    let rows = plan_of(top, widened);
    let projection = kept.iter().map(|kept| column_of(&rows.schema, *kept));
    let projection = projection.collect();
    map(rows, None, projection, schema)
}
