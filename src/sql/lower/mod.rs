//! From DataFusion's optimised logical plan to our own [`Plan`].
//!
//! Columns become positions, expressions that serve as keys or arguments become columns of a map
//! below, and everything that cannot be maintained is refused with its reason.

mod aggregate;
mod apart;
mod call;
pub mod delta_join;
pub mod dense_rank;
mod grouping;
mod join;
mod monotone;
mod recursive;
mod row_number;
mod strict;
pub mod temporal;
mod trial;
mod unnest;
pub mod whole_partition;
mod window;
pub(super) mod written_clock;
pub mod zero;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Distinct, Expr, FetchType, Limit, LogicalPlan, SkipType, Sort, SortExpr, TableScan, Values,
};
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::scalar::ScalarValue;

use super::error::SqlError;
use super::plan::{Expression, Node, Plan, SortKey, TopK, all_columns, as_column, column_of};
use super::planner::LiveSource;
use super::refusals::self_reference;
use super::rules::checked_numbers::checked;

/// Lowers a logical plan.
pub fn lower(plan: &LogicalPlan) -> Result<Arc<Plan>, SqlError> {
    match plan {
        LogicalPlan::Projection(node) => {
            let input = lower(&node.input)?;
            let expressions = physical_all(&node.expr, node.input.schema())?;
            Ok(map(input, None, expressions, arrow_schema(&node.schema)))
        }
        LogicalPlan::Filter(node) => {
            let input = lower(&node.input)?;
            let predicate = physical(&node.predicate, node.input.schema())?;
            Ok(filter(row_number::bounded(input, &predicate), predicate))
        }
        LogicalPlan::Aggregate(node) => aggregate::lower(node),
        LogicalPlan::Window(node) => window::lower(node),
        LogicalPlan::Join(node) => join::lower(node),
        LogicalPlan::Union(node) => {
            let inputs = node.inputs.iter().map(|input| lower(input));
            let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
            Ok(plan_of(Node::Union { inputs }, arrow_schema(&node.schema)))
        }
        LogicalPlan::TableScan(node) => scan(node),
        LogicalPlan::EmptyRelation(node) => {
            let rows = match node.produce_one_row {
                true => vec![vec![]],
                false => vec![],
            };
            Ok(plan_of(Node::Constant { rows }, arrow_schema(&node.schema)))
        }
        LogicalPlan::Values(node) => values(node),
        // Names mean nothing inside a plan, and keeping them out lets equal plans be equal.
        LogicalPlan::SubqueryAlias(node) => lower(&node.input),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let input = lower(input)?;
            let schema = Arc::clone(&input.schema);
            Ok(plan_of(Node::Distinct { input }, schema))
        }
        LogicalPlan::Distinct(Distinct::On(_)) => Err(refused("DISTINCT ON")
            .with_hint("use ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) and keep position 1")),
        // A view is a bag: an order without a limit has no meaning in it.
        LogicalPlan::Sort(Sort {
            expr,
            input,
            fetch: Some(fetch),
        }) => top(input, expr, 0, Some(*fetch as u64)),
        LogicalPlan::Sort(node) => lower(&node.input),
        LogicalPlan::Limit(node) => limit(node),
        LogicalPlan::Subquery(node) => lower(&node.subquery),
        LogicalPlan::RecursiveQuery(node) => recursive::lower(node),
        LogicalPlan::Unnest(node) => unnest::lower(node),
        other => Err(refused(describe(other))),
    }
}

/// The refusal of a construct.
pub(super) fn refused(construct: &str) -> SqlError {
    SqlError::unsupported(format!(
        "{construct} cannot be maintained in a live view yet"
    ))
}

fn describe(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Extension(_) => "this extension of DataFusion",
        LogicalPlan::Subquery(_) => "this kind of correlated subquery",
        _ => "this statement",
    }
}

pub(super) fn plan_of(node: Node, schema: SchemaRef) -> Arc<Plan> {
    Arc::new(Plan { node, schema })
}

pub(super) fn arrow_schema(schema: &DFSchema) -> SchemaRef {
    // Field metadata means nothing to us and would keep equal plans from being recognised.
    let fields = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), field.data_type().clone(), field.is_nullable()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The physical form of an expression over a logical plan's output. A whole number that becomes too
/// large for its type is an error.
pub(super) fn physical(expression: &Expr, schema: &DFSchema) -> Result<Expression, SqlError> {
    match temporal::physical(expression, schema)? {
        Some(temporal) => Ok(temporal),
        None => Ok(checked(unchecked(expression, schema)?)?),
    }
}

/// The same of an expression that does not read the clock, with numbers that become too large
/// modulo what their type holds: conditions on time are tried for moments that never come.
fn unchecked(expression: &Expr, schema: &DFSchema) -> Result<Expression, SqlError> {
    if expression.exists(|part| Ok(matches!(part, Expr::Exists(_) | Expr::InSubquery(_))))? {
        return Err(refused("IN or EXISTS with a subquery as a value")
            .with_hint("use it in WHERE, or a LEFT JOIN with the distinct rows of the subquery"));
    }
    if expression.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_))))? {
        return Err(
            refused("a scalar subquery that is not correlated by equalities alone")
                .with_hint("join with a grouped query; columns from outside belong in equalities"),
        );
    }
    let context = PhysicalPlanningContext::default();
    let physical = create_physical_expr(expression, schema, &ExecutionProps::new(), &context)?;
    trial::check_expression(&physical, schema.inner())?;
    Ok(physical)
}

pub(super) fn physical_all<'a>(
    expressions: impl IntoIterator<Item = &'a Expr>,
    schema: &DFSchema,
) -> Result<Vec<Expression>, SqlError> {
    let expressions = expressions.into_iter();
    expressions
        .map(|expression| physical(expression, schema))
        .collect()
}

/// A map, merged into the one below where that only filters or where this one does nothing.
pub(super) fn map(
    input: Arc<Plan>,
    predicate: Option<Expression>,
    projection: Vec<Expression>,
    schema: SchemaRef,
) -> Arc<Plan> {
    let is_identity = projection.len() == input.schema.fields().len()
        && (0..projection.len()).all(|position| as_column(&projection[position]) == Some(position));
    if is_identity && predicate.is_none() && schema == input.schema {
        return input;
    }
    if predicate.is_none()
        && let Node::Map {
            input: below,
            predicate: condition,
            projection: columns,
        } = &input.node
        && (0..columns.len()).all(|position| as_column(&columns[position]) == Some(position))
    {
        let node = Node::Map {
            input: Arc::clone(below),
            predicate: condition.clone(),
            projection,
        };
        return plan_of(node, schema);
    }
    let node = Node::Map {
        input,
        predicate,
        projection,
    };
    plan_of(node, schema)
}

pub(super) fn filter(input: Arc<Plan>, predicate: Expression) -> Arc<Plan> {
    let schema = Arc::clone(&input.schema);
    let projection = all_columns(&schema);
    map(input, Some(predicate), projection, schema)
}

/// The outermost map of a view: its column names, and plain types for strings.
pub fn output_map(input: Arc<Plan>, schema: SchemaRef) -> Arc<Plan> {
    let columns = schema.fields().iter().enumerate().map(|(position, field)| {
        let value = column_of(&input.schema, position);
        match input.schema.field(position).data_type() == field.data_type() {
            true => value,
            false => Arc::new(CastExpr::new(value, field.data_type().clone(), None)) as Expression,
        }
    });
    let columns = columns.collect();
    map(input, None, columns, schema)
}

/// An input with further columns computed behind its own; columns that are there already are not
/// computed again. Returns the input and the positions of the expressions' values.
pub(super) fn with_columns(
    input: Arc<Plan>,
    expressions: Vec<Expression>,
) -> Result<(Arc<Plan>, Vec<usize>), SqlError> {
    let mut projection = all_columns(&input.schema);
    let mut fields: Vec<Field> = input
        .schema
        .fields()
        .iter()
        .map(|f| f.as_ref().clone())
        .collect();
    let mut positions = Vec::new();
    for expression in expressions {
        let known = projection
            .iter()
            .position(|other| other.as_ref() == expression.as_ref());
        let position = match known {
            Some(position) => position,
            None => {
                let data_type = expression.data_type(&input.schema)?;
                let nullable = expression.nullable(&input.schema)?;
                fields.push(Field::new(expression.to_string(), data_type, nullable));
                projection.push(expression);
                projection.len() - 1
            }
        };
        positions.push(position);
    }
    let schema = Arc::new(Schema::new(fields));
    Ok((map(input, None, projection, schema), positions))
}

/// An expression with its column positions replaced.
pub(super) fn remap(
    expression: Expression,
    position: impl Fn(usize) -> usize,
) -> Result<Expression, SqlError> {
    let mapped = expression.transform(|node| {
        Ok(match node.downcast_ref::<Column>() {
            None => Transformed::no(node),
            Some(column) => {
                let moved = Column::new(column.name(), position(column.index()));
                Transformed::yes(Arc::new(moved) as Expression)
            }
        })
    });
    Ok(mapped.data()?)
}

fn scan(node: &TableScan) -> Result<Arc<Plan>, SqlError> {
    let table = relation(node)?;
    let full = DFSchema::try_from_qualified_schema(node.table_name.clone(), &node.source.schema())?;
    let mut input = plan_of(table, arrow_schema(&full));
    if let Some(predicate) = datafusion::logical_expr::utils::conjunction(node.filters.clone()) {
        input = filter(input, physical(&predicate, &full)?);
    }
    let Some(projection) = &node.projection else {
        return Ok(input);
    };
    let columns = projection
        .iter()
        .map(|position| column_of(&input.schema, *position));
    let columns = columns.collect();
    Ok(map(
        input,
        None,
        columns,
        arrow_schema(&node.projected_schema),
    ))
}

fn relation(node: &TableScan) -> Result<Node, SqlError> {
    if let Some(source) = node.source.downcast_ref::<LiveSource>() {
        let name = Arc::clone(&source.name);
        return Ok(match source.is_view {
            true => Node::View { name },
            false => Node::Table { name },
        });
    }
    if let Some(name) = self_reference::level(node) {
        return Ok(Node::Level { name });
    }
    let name = node.table_name.table();
    Err(refused(&format!("table function or relation \"{name}\"")))
}

fn values(node: &Values) -> Result<Arc<Plan>, SqlError> {
    let schema = arrow_schema(&node.schema);
    let empty = DFSchema::empty();
    let one_row = crate::sql::plan::one_row();
    let mut rows = Vec::new();
    for row in &node.values {
        let mut values = Vec::new();
        for (expression, field) in row.iter().zip(schema.fields()) {
            let value = physical(expression, &empty)?
                .evaluate(&one_row)?
                .into_array(1)?;
            let value = arrow::compute::cast(&value, field.data_type());
            let value = value.map_err(datafusion::error::DataFusionError::from)?;
            values.push(ScalarValue::try_from_array(&value, 0)?);
        }
        rows.push(values);
    }
    Ok(plan_of(Node::Constant { rows }, schema))
}

fn limit(node: &Limit) -> Result<Arc<Plan>, SqlError> {
    let offset = match node.get_skip_type()? {
        SkipType::Literal(rows) => rows as u64,
        SkipType::UnsupportedExpr => return Err(refused("an OFFSET that is not a number")),
    };
    let limit = match node.get_fetch_type()? {
        FetchType::Literal(rows) => rows.map(|rows| rows as u64),
        FetchType::UnsupportedExpr => return Err(refused("a LIMIT that is not a number")),
    };
    limited(&node.input, offset, limit)
}

/// Some rows of an input, in its order: one that stands below projections counts, too.
fn limited(input: &LogicalPlan, offset: u64, limit: Option<u64>) -> Result<Arc<Plan>, SqlError> {
    match input {
        LogicalPlan::Sort(sort) => {
            let fetched = sort.fetch.map(|rows| (rows as u64).saturating_sub(offset));
            let limit = limit.into_iter().chain(fetched).min();
            top(&sort.input, &sort.expr, offset, limit)
        }
        LogicalPlan::Projection(node) => {
            let rows = limited(&node.input, offset, limit)?;
            let expressions = physical_all(&node.expr, node.input.schema())?;
            Ok(map(rows, None, expressions, arrow_schema(&node.schema)))
        }
        LogicalPlan::SubqueryAlias(node) => limited(&node.input, offset, limit),
        input => top(input, &[], offset, limit),
    }
}

/// The first rows of all in an order.
fn top(
    input: &LogicalPlan,
    order: &[SortExpr],
    offset: u64,
    limit: Option<u64>,
) -> Result<Arc<Plan>, SqlError> {
    let lowered = lower(input)?;
    let schema = Arc::clone(&lowered.schema);
    let (input, order) = sort_keys(lowered, order, input.schema())?;
    let top = TopK {
        partition: Vec::new(),
        order,
        offset,
        limit,
        emit_position: false,
        input,
    };
    let widened = Arc::clone(&top.input.schema);
    let rows = plan_of(Node::TopK(top), widened);
    let columns = all_columns(&schema);
    Ok(map(rows, None, columns, schema))
}

/// An input with the columns to order by.
pub(super) fn sort_keys(
    input: Arc<Plan>,
    order: &[SortExpr],
    schema: &DFSchema,
) -> Result<(Arc<Plan>, Vec<SortKey>), SqlError> {
    let expressions = physical_all(order.iter().map(|key| &key.expr), schema)?;
    let (input, positions) = with_columns(input, expressions)?;
    let keys = order.iter().zip(positions).map(|(key, column)| SortKey {
        column,
        descending: !key.asc,
        nulls_first: key.nulls_first,
    });
    let keys: Vec<SortKey> = keys.collect();
    for key in &keys {
        refuse_unordered(input.schema.field(key.column).data_type())?;
    }
    Ok((input, keys))
}

/// Refuses types whose order in SQL is not that of their row encoding.
pub(super) fn refuse_unordered(data_type: &DataType) -> Result<(), SqlError> {
    match data_type.is_nested() || matches!(data_type, DataType::Interval(_)) {
        true => Err(refused(&format!("ordering by values of type {data_type}"))),
        false => Ok(()),
    }
}
