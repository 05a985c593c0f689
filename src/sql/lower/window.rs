//! `ROW_NUMBER()`, and the filters on it that make it a top-k.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, Operator, Window, WindowFunctionDefinition};
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Literal};
use datafusion::physical_expr::split_conjunction;
use datafusion::scalar::ScalarValue;

use super::super::error::SqlError;
use super::super::plan::{Expression, Node, Plan, TopK};
use super::{
    arrow_schema, as_column, column, identity, map, physical_all, plan_of, refused, sort_keys,
    with_columns,
};

/// Lowers window functions: each appends the row's position as a column.
pub fn lower(node: &Window) -> Result<Arc<Plan>, SqlError> {
    let mut input = super::lower(&node.input)?;
    let own_columns = input.schema.fields().len();
    for (position, expression) in node.window_expr.iter().enumerate() {
        let call = row_number(expression)?;
        let partition = physical_all(&call.params.partition_by, node.input.schema())?;
        let columns = own_columns + position;
        let (keyed, partition) = with_columns(input, partition)?;
        let (keyed, order) = sort_keys(keyed, &call.params.order_by, node.input.schema())?;
        let position_field = Field::new("position", DataType::UInt64, false);
        let mut fields: Vec<Field> =
            keyed.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.push(position_field.clone());
        let position = fields.len() - 1;
        let top = Node::TopK(TopK {
            input: keyed,
            partition,
            order,
            offset: 0,
            limit: None,
            emit_position: true,
        });
        let rows = plan_of(top, Arc::new(Schema::new(fields)));
        let kept = (0..columns).chain([position]);
        let projection: Vec<Expression> = kept.map(|kept| column(&rows.schema, kept)).collect();
        let mut fields: Vec<Field> = rows.schema.fields()[..columns]
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        fields.push(position_field);
        input = map(rows, None, projection, Arc::new(Schema::new(fields)));
    }
    let schema = arrow_schema(&node.schema);
    let columns = identity(&schema);
    Ok(map(input, None, columns, schema))
}

fn row_number(expression: &Expr) -> Result<&WindowFunction, SqlError> {
    match expression {
        Expr::Alias(alias) => row_number(&alias.expr),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::WindowUDF(function) if function.name() == "row_number" => {
                Ok(call)
            }
            other => Err(refused(&format!("the window function {}()", other.name()))
                .with_hint("ROW_NUMBER() is maintained; others can be computed by a query over a view")),
        },
        other => Err(refused(&format!("the window function {other}"))),
    }
}

/// The input of a filter, computing no more rows than the filter lets through: a condition that
/// bounds a row's position from above becomes the limit of the top-k that computes it.
pub fn bounded(input: Arc<Plan>, predicate: &Expression) -> Arc<Plan> {
    let bounds = split_conjunction(predicate)
        .into_iter()
        .filter_map(upper_bound);
    let mut bounded = input;
    for (position, limit) in bounds {
        bounded = with_limit(&bounded, position, limit).unwrap_or(bounded);
    }
    bounded
}

/// The column that a condition bounds, and the greatest value it lets through.
fn upper_bound(condition: &Expression) -> Option<(usize, u64)> {
    let comparison = condition.downcast_ref::<BinaryExpr>()?;
    let (column, literal, operator) = match as_bound_column(comparison.left()) {
        Some(column) => (column, comparison.right(), *comparison.op()),
        None => {
            let column = as_bound_column(comparison.right())?;
            (column, comparison.left(), comparison.op().swap()?)
        }
    };
    let value = literal.downcast_ref::<Literal>()?.value().cast_to(&DataType::Int64).ok()?;
    let ScalarValue::Int64(Some(value)) = value else {
        return None;
    };
    let greatest = match operator {
        Operator::Lt => value.checked_sub(1)?,
        Operator::LtEq | Operator::Eq => value,
        _ => return None,
    };
    Some((column, u64::try_from(greatest).unwrap_or(0)))
}

/// A column, possibly cast to a wider number type.
fn as_bound_column(expression: &Expression) -> Option<usize> {
    match expression.downcast_ref::<CastExpr>() {
        Some(cast) if cast.cast_type().is_integer() => as_column(cast.expr()),
        Some(_) => None,
        None => as_column(expression),
    }
}

fn with_limit(plan: &Arc<Plan>, position: usize, limit: u64) -> Option<Arc<Plan>> {
    match &plan.node {
        Node::Map {
            input,
            predicate: None,
            projection,
        } => {
            let below = as_column(projection.get(position)?)?;
            let node = Node::Map {
                input: with_limit(input, below, limit)?,
                predicate: None,
                projection: projection.clone(),
            };
            Some(plan_of(node, Arc::clone(&plan.schema)))
        }
        Node::TopK(top) if top.emit_position && position + 1 == plan.schema.fields().len() => {
            let node = Node::TopK(TopK {
                limit: Some(top.limit.map_or(limit, |other| other.min(limit))),
                ..top.clone()
            });
            Some(plan_of(node, Arc::clone(&plan.schema)))
        }
        _ => None,
    }
}
