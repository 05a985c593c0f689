//! Scalar subqueries that may give several rows: an error of the rows that ask for their value.
//! Those that may give none of a column that is never NULL are gathered in the same way.
//!
//! Such a subquery is aggregated to one row, a value with whether it is one of several, so that it
//! becomes a join. The value is taken out where the expression around it is evaluated: rows that
//! do not come that far, and values that no row asks for, do not fail.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, exec_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, min};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Subquery, Volatility, lit,
};
use datafusion::scalar::ScalarValue;

use super::decorrelate::is_hard;
use crate::sql::aggregates::interval_groups;

/// An expression over `rows` whose scalar subqueries fail for those of them for which they are
/// evaluated and give several rows.
pub fn guarded(expression: Expr, rows: Option<&DFSchema>) -> Result<Transformed<Expr>> {
    if !has_unguarded(&expression)? {
        return Ok(Transformed::no(expression));
    }
    let first = rows.and_then(|rows| rows.iter().next().map(Column::from));
    let asking = own_column(&expression)?.or(first);
    let field = rows
        .zip(asking.as_ref())
        .and_then(|(rows, column)| rows.field_from_column(column).ok());
    let is_strict = asking.is_none() || field.is_some_and(|field| !field.is_nullable());
    expression.transform_up(|part| guard(part, asking.as_ref(), is_strict))
}

/// Whether an expression has a scalar subquery that may give several rows, or none where its column
/// is never NULL.
pub fn has_unguarded(expression: &Expr) -> Result<bool> {
    expression.exists(|part| Ok(is_unguarded(part)))
}

fn is_unguarded(expression: &Expr) -> bool {
    match expression {
        Expr::ScalarSubquery(subquery) => {
            let plan = subquery.subquery.as_ref();
            (!has_one_row(plan) || hides_null(subquery)) && is_ordered(plan)
        }
        _ => false,
    }
}

/// A column that an expression reads besides its subqueries: with no other one it can be computed
/// as early as it could without the guard.
fn own_column(expression: &Expr) -> Result<Option<Column>> {
    let mut found = None;
    expression.apply(|part| {
        Ok(match part {
            Expr::Column(column) => {
                found = Some(column.clone());
                TreeNodeRecursion::Stop
            }
            _ => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

fn guard(expression: Expr, asking: Option<&Column>, is_strict: bool) -> Result<Transformed<Expr>> {
    if !is_unguarded(&expression) {
        return Ok(Transformed::no(expression));
    }
    let Expr::ScalarSubquery(subquery) = expression else {
        return Ok(Transformed::no(expression));
    };
    let gathered = gathered(subquery.subquery.as_ref().clone())?;
    let mut arguments = vec![Expr::ScalarSubquery(subquery.with_plan(Arc::new(gathered)))];
    // A column of the outer row keeps the optimiser from asking before there is one.
    arguments.extend(asking.cloned().map(Expr::Column));
    let value = ScalarUDF::new_from_impl(AtMostOne {
        signature: Signature::variadic_any(Volatility::Immutable),
        is_strict,
    });
    Ok(Transformed::yes(value.call(arguments)))
}

fn is_ordered(plan: &LogicalPlan) -> bool {
    !plan.schema().field(0).data_type().is_nested()
}

/// One row for those of a query of one column.
fn gathered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let (relation, field) = plan.schema().qualified_field(0);
    let value = Expr::Column(Column::new(relation.cloned(), field.name()));
    let name = field.name().clone();
    let (mut aggregates, value) = match field.data_type() {
        DataType::Interval(_) => {
            let [length, form] = interval_groups::parts_of(value);
            let parts = [unqualified("[length]"), unqualified("[form]")];
            (
                vec![min(length).alias("[length]"), min(form).alias("[form]")],
                interval_groups::of_parts(parts),
            )
        }
        _ => (vec![min(value).alias("value")], unqualified("value")),
    };
    aggregates.push(count(lit(1i64)).alias("rows"));
    let gathered = ScalarUDF::new_from_impl(Gathered {
        signature: Signature::any(2, Volatility::Immutable),
    });
    let gathered = gathered.call(vec![value, unqualified("rows")]);
    LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), aggregates)?
        .project([gathered.alias(name)])?
        .build()
}

fn unqualified(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// Whether a subquery gives at most one row (per row of the outer query).
pub fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(node) => has_one_row(&node.input),
        LogicalPlan::Filter(node) => has_one_row(&node.input),
        LogicalPlan::Sort(node) => has_one_row(&node.input),
        LogicalPlan::SubqueryAlias(node) => has_one_row(&node.input),
        LogicalPlan::Aggregate(node) => node.group_expr.is_empty(),
        other => other.max_rows().is_some_and(|rows| rows <= 1),
    }
}

/// Whether DataFusion takes the value for one that is never NULL, as the column is, although there may
/// be no row: it then leaves out what asks for NULL, before a join gives it. Of those that are joined
/// before it looks it knows.
fn hides_null(subquery: &Subquery) -> bool {
    let plan = subquery.subquery.as_ref();
    !plan.schema().field(0).is_nullable()
        && !surely_has_row(plan)
        && is_hard(subquery).is_ok_and(|is_hard| !is_hard)
}

fn surely_has_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(node) => surely_has_row(&node.input),
        LogicalPlan::Sort(node) => node.fetch.is_none() && surely_has_row(&node.input),
        LogicalPlan::SubqueryAlias(node) => surely_has_row(&node.input),
        LogicalPlan::Aggregate(node) => node.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(node) => node.produce_one_row,
        LogicalPlan::Values(rows) => !rows.values.is_empty(),
        _ => false,
    }
}

/// `gathered(value, rows)`: the value of a number of rows, with whether there are several; NULL if
/// there are none.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Gathered {
    signature: Signature,
}

impl ScalarUDFImpl for Gathered {
    fn name(&self) -> &str {
        "gathered"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let value = arguments.first().unwrap_or(&DataType::Null);
        Ok(DataType::Struct(fields(value)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, rows] = &call.args[..] else {
            return exec_err!("gathered() takes a value and a number of rows");
        };
        let value = value.to_array(call.number_rows)?;
        let rows = rows.to_array(call.number_rows)?;
        let Some(rows) = rows.as_primitive_opt::<Int64Type>() else {
            return exec_err!("gathered() takes a number of rows");
        };
        let are_more = |limit: i64| {
            let rows = rows.iter();
            rows.map(move |rows| rows.is_some_and(|rows| rows > limit))
        };
        let several = BooleanArray::from(are_more(1).collect::<Vec<bool>>());
        let nulls = NullBuffer::from(are_more(0).collect::<Vec<bool>>());
        // Of several rows all look alike, however they change.
        let value = nullif(&value, &several)?;
        let fields = fields(value.data_type());
        let columns: Vec<ArrayRef> = vec![value, Arc::new(several)];
        let gathered = StructArray::try_new(fields, columns, Some(nulls))?;
        Ok(ColumnarValue::Array(Arc::new(gathered)))
    }
}

fn fields(value: &DataType) -> Fields {
    Fields::from(vec![
        Field::new("value", value.clone(), true),
        Field::new("several", DataType::Boolean, true),
    ])
}

/// `at_most_one(gathered, …)`: the value, unless it is one of several. What follows is not looked
/// at.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AtMostOne {
    signature: Signature,
    /// Whether what follows is never NULL, so that only a value that is NULL gives NULL.
    is_strict: bool,
}

impl ScalarUDFImpl for AtMostOne {
    fn name(&self) -> &str {
        "at_most_one"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match arguments.first() {
            Some(DataType::Struct(fields)) if !fields.is_empty() => fields[0].data_type().clone(),
            _ => DataType::Null,
        })
    }

    fn is_strict(&self) -> bool {
        self.is_strict
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(gathered) = call.args.first() else {
            return exec_err!("at_most_one() takes what gathered() gives");
        };
        let gathered = gathered.to_array(call.number_rows)?;
        let Some(gathered) = gathered.as_struct_opt() else {
            // A subquery without rows may have become NULL when it was planned.
            let null = ScalarValue::try_new_null(call.return_field.data_type())?;
            return Ok(ColumnarValue::Scalar(null));
        };
        let [value, several] = gathered.columns() else {
            return exec_err!("at_most_one() takes what gathered() gives");
        };
        let several = several.as_boolean();
        if (0..gathered.len()).any(|row| gathered.is_valid(row) && several.value(row)) {
            return exec_err!("more than one row returned by a subquery used as an expression");
        }
        let value = nullif(value, &is_null(gathered)?)?;
        Ok(ColumnarValue::Array(value))
    }
}
