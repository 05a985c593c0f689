//! Grouped aggregation.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::expr::AggregateFunction as LogicalCall;
use datafusion::logical_expr::{Aggregate as LogicalAggregate, Expr};

use super::super::error::SqlError;
use super::super::plan::{
    Aggregate, AggregateFunction, AggregateNode, Expression, Node, Plan,
};
use super::{arrow_schema, map, physical, physical_all, plan_of, refuse_unordered, refused};
use arrow::datatypes::{Field, Schema};

/// Lowers an aggregation: keys, arguments and filters become columns of a map below.
pub fn lower(node: &LogicalAggregate) -> Result<Arc<Plan>, SqlError> {
    if node.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
        return Err(refused("GROUPING SETS, ROLLUP and CUBE")
            .with_hint("write one GROUP BY per level and join them with UNION ALL"));
    }
    let input = super::lower(&node.input)?;
    let mut columns = Columns {
        input: Arc::clone(&input),
        projection: physical_all(&node.group_expr, node.input.schema())?,
    };
    let keys: Vec<usize> = (0..columns.projection.len()).collect();
    let schema = arrow_schema(&node.schema);
    let mut aggregates = Vec::new();
    for (position, expression) in node.aggr_expr.iter().enumerate() {
        let data_type = schema.field(keys.len() + position).data_type();
        let call = call(expression)?;
        aggregates.push(aggregate(call, data_type, node, &mut columns)?);
    }
    let input = columns.finish()?;
    if aggregates.is_empty() {
        let distinct = plan_of(Node::Distinct { input }, schema);
        return Ok(distinct);
    }
    let node = Node::Aggregate(AggregateNode {
        input,
        keys,
        aggregates,
    });
    Ok(plan_of(node, schema))
}

fn call(expression: &Expr) -> Result<&LogicalCall, SqlError> {
    match expression {
        Expr::Alias(alias) => call(&alias.expr),
        Expr::AggregateFunction(call) => Ok(call),
        other => Err(refused(&format!("the aggregate {other}"))),
    }
}

/// The columns that the aggregation reads, each once.
struct Columns {
    input: Arc<Plan>,
    projection: Vec<Expression>,
}

impl Columns {
    /// The position of an expression's value. Grouping columns keep positions of their own, so
    /// that two equal ones do not become one.
    fn position(&mut self, expression: Expression) -> usize {
        let known = self.projection.iter().position(|other| other.as_ref() == expression.as_ref());
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

fn aggregate(
    call: &LogicalCall,
    data_type: &DataType,
    node: &LogicalAggregate,
    columns: &mut Columns,
) -> Result<Aggregate, SqlError> {
    let name = call.func.name();
    let function = match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        other => {
            let error = refused(&format!("the aggregate function {other}()"));
            return Err(error.with_hint(
                "count, sum, avg, min and max are maintained; others can be computed by a query \
                 over a view",
            ));
        }
    };
    let schema = node.input.schema();
    let argument = match &call.params.args[..] {
        [Expr::Literal(value, _)] if function == AggregateFunction::Count && !value.is_null() => {
            None
        }
        [argument] => {
            let argument = physical(argument, schema)?;
            refuse_argument(function, &argument.data_type(&columns.input.schema)?)?;
            Some(columns.position(argument))
        }
        [] if function == AggregateFunction::Count => None,
        _ => return Err(refused(&format!("{name}() of several arguments"))),
    };
    let filter = match &call.params.filter {
        None => None,
        Some(filter) => Some(columns.position(physical(filter, schema)?)),
    };
    let is_extreme = matches!(function, AggregateFunction::Min | AggregateFunction::Max);
    Ok(Aggregate {
        function,
        argument,
        // The least and the greatest of distinct values are those of all values.
        distinct: call.params.distinct && !is_extreme,
        filter,
        data_type: data_type.clone(),
    })
}

fn refuse_argument(function: AggregateFunction, data_type: &DataType) -> Result<(), SqlError> {
    let is_supported = match function {
        AggregateFunction::Count => true,
        AggregateFunction::Sum => matches!(
            data_type,
            DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Decimal128(..)
        ),
        AggregateFunction::Avg => {
            matches!(data_type, DataType::Float64 | DataType::Decimal128(..))
        }
        AggregateFunction::Min | AggregateFunction::Max => return refuse_unordered(data_type),
    };
    match is_supported {
        true => Ok(()),
        false => Err(refused(&format!("{function}() of type {data_type}"))
            .with_hint("cast the argument to BIGINT, DOUBLE or DECIMAL")),
    }
}
