//! ASOF joins: each left row with the newest right row of its key that is not after it.
//!
//! The rows of both sides are put together in the order of time, and a window function carries
//! the columns of the newest right row on to the left ones. A live view keeps the sides apart
//! instead, see `dataflow/operator/as_of.rs`.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::Column;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator,
    cast, lit, not,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr as Ast, Join, JoinConstraint, JoinOperator, TableFactor,
};

use super::call::own_column;
use super::latest::latest;
use crate::sql::error::{Place, SqlError};
use crate::sql::place::of_part;
use crate::sql::planner::external;
use crate::sql::types::sql_name;

const TIME: &str = "[time]";
/// Whether a row is one of the left side.
const IS_LEFT: &str = "[is left]";
const IS_RIGHT: &str = "[is right]";

/// Plans an ASOF join that stands alone.
pub fn plan(
    relation: TableFactor,
    context: &mut dyn RelationPlannerContext,
) -> Result<RelationPlanning> {
    let TableFactor::NestedJoin {
        mut table_with_joins,
        alias,
    } = relation
    else {
        return Ok(RelationPlanning::Original(Box::new(relation)));
    };
    let last = table_with_joins.joins.pop();
    let plan = match last {
        Some(Join {
            relation,
            join_operator:
                JoinOperator::AsOf {
                    match_condition,
                    constraint,
                },
            ..
        }) => {
            let left = match table_with_joins.joins.is_empty() {
                true => table_with_joins.relation,
                false => TableFactor::NestedJoin {
                    table_with_joins,
                    alias: None,
                },
            };
            let (left, right) = (context.plan(left)?, context.plan(relation)?);
            AsOf::new(left, right, match_condition, constraint, context)?.joined()?
        }
        last => {
            table_with_joins.joins.extend(last);
            let relation = TableFactor::NestedJoin {
                table_with_joins,
                alias,
            };
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
    };
    let planned = PlannedRelation::new(plan, alias);
    Ok(RelationPlanning::Planned(Box::new(planned)))
}

/// An ASOF join: its sides, and pairs of expressions over them of one type each.
struct AsOf {
    left: LogicalPlan,
    right: LogicalPlan,
    keys: Vec<(Expr, Expr)>,
    times: (Expr, Expr),
    /// Whether the oldest right row that is not before the left one is wanted instead.
    is_forward: bool,
    /// Whether a right row of the same time does not count.
    is_strict: bool,
}

impl AsOf {
    fn new(
        left: LogicalPlan,
        right: LogicalPlan,
        match_condition: Ast,
        constraint: JoinConstraint,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<AsOf> {
        let both = left.schema().join(right.schema())?;
        let mut plan = |condition: Ast| context.sql_to_expr(condition, &both);
        let place = of_part(&match_condition);
        let mut written = Vec::new();
        match constraint {
            JoinConstraint::None => {}
            JoinConstraint::On(condition) => split(condition, &mut written),
            JoinConstraint::Using(columns) => {
                return Err(refused("USING", columns.first().and_then(of_part)));
            }
            JoinConstraint::Natural => return Err(refused("NATURAL", place)),
        }
        let mut on = Vec::new();
        for condition in written {
            let place = of_part(&condition);
            let conditions = split_conjunction_owned(plan(condition)?);
            on.extend(conditions.into_iter().map(|condition| (condition, place)));
        }
        let matched = plan(match_condition)?;
        let sides = Sides {
            left: &left,
            right: &right,
        };
        let keys = on
            .into_iter()
            .map(|(condition, place)| match sides.compared(condition)? {
                Some((left, Operator::Eq, right)) => sides.of_one_type(left, right),
                _ => Err(refused(
                    "a condition in ON that is not an equality of both sides",
                    place,
                )),
            });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let Some((left_time, operator, right_time)) = sides.compared(matched)? else {
            return Err(refused(
                "a MATCH_CONDITION that does not compare the sides",
                place,
            ));
        };
        let (is_forward, is_strict) = match operator {
            Operator::GtEq => (false, false),
            Operator::Gt => (false, true),
            Operator::LtEq => (true, false),
            Operator::Lt => (true, true),
            _ => {
                return Err(refused("a MATCH_CONDITION without >=, >, <= or <", place));
            }
        };
        let times = sides.times(left_time, right_time, place)?;
        Ok(AsOf {
            left,
            right,
            keys,
            times,
            is_forward,
            is_strict,
        })
    }

    /// The plan: left rows with the columns of their right rows, NULL where there is none.
    fn joined(self) -> Result<LogicalPlan> {
        let (left, right) = (columns_of(&self.left), columns_of(&self.right));
        let left_rows = self.side(true)?;
        let right_rows = self.side(false)?;
        let rows = LogicalPlanBuilder::from(left_rows).union(right_rows)?;
        // The side is computed above the union: DataFusion would sort each side by itself, and lose
        // the order where a column of it is another constant on each side.
        let columns = rows.schema().columns().into_iter();
        let columns = columns.map(|column| match column.name == IS_RIGHT {
            true => not(Expr::Column(column)).alias(IS_LEFT),
            false => Expr::Column(column),
        });
        let columns: Vec<Expr> = columns.collect();
        let rows = rows.project(columns)?;
        let keys: Vec<Expr> = (0..self.keys.len()).map(|n| own_column(&key(n))).collect();
        let mut order = vec![
            own_column(TIME).sort(!self.is_forward, true),
            own_column(IS_LEFT).sort(!self.is_strict, true),
        ];
        for (n, column) in right.iter().enumerate() {
            // Of right rows of one time the greatest counts.
            if is_ordered(&column.get_type(self.right.schema())?) {
                order.push(own_column(&right_column(n)).sort(true, true));
            }
        }
        let carried = (0..right.len()).map(|n| {
            let value = latest(own_column(&right_column(n)), own_column(IS_LEFT));
            let windowed = value.partition_by(keys.clone()).order_by(order.clone());
            windowed.build()
        });
        let carried = carried.collect::<Result<Vec<Expr>>>()?;
        let names = carried.iter().map(|value| value.schema_name().to_string());
        let values: Vec<Expr> = (0..left.len())
            .map(left_column)
            .chain(names)
            .map(|name| own_column(&name))
            .collect();
        let named = values.into_iter().zip(left.into_iter().chain(right));
        let named = named.map(|(value, column)| match column {
            Expr::Column(Column { relation, name, .. }) => value.alias_qualified(relation, name),
            _ => value,
        });
        let rows = rows.window(carried)?.filter(own_column(IS_LEFT))?;
        rows.project(named.collect::<Vec<_>>())?.build()
    }

    /// The rows of a side with columns for both.
    fn side(&self, is_left: bool) -> Result<LogicalPlan> {
        let (left, right) = (columns_of(&self.left), columns_of(&self.right));
        let of_side = |(left, right): &(Expr, Expr)| match is_left {
            true => left.clone(),
            false => right.clone(),
        };
        let keys: Vec<Expr> = self.keys.iter().map(of_side).collect();
        let time = of_side(&self.times);
        let mut columns: Vec<Expr> = Vec::new();
        for (n, value) in keys.iter().enumerate() {
            columns.push(value.clone().alias(key(n)));
        }
        columns.push(time.clone().alias(TIME));
        columns.push(lit(!is_left).alias(IS_RIGHT));
        for (n, column) in left.into_iter().enumerate() {
            let value = if is_left {
                column
            } else {
                null(&column, &self.left)?
            };
            columns.push(value.alias(left_column(n)));
        }
        for (n, column) in right.into_iter().enumerate() {
            let value = if is_left {
                null(&column, &self.right)?
            } else {
                column
            };
            columns.push(value.alias(right_column(n)));
        }
        if is_left {
            let rows = LogicalPlanBuilder::from(self.left.clone());
            return rows.project(columns)?.build();
        }
        // A right row without a key or a time is nobody's partner.
        let wanted = keys.into_iter().chain([time]).map(Expr::is_not_null);
        let wanted = conjunction(wanted).unwrap_or_else(|| lit(true));
        let rows = LogicalPlanBuilder::from(self.right.clone());
        rows.filter(wanted)?.project(columns)?.build()
    }
}

/// The sides of a join.
struct Sides<'a> {
    left: &'a LogicalPlan,
    right: &'a LogicalPlan,
}

impl Sides<'_> {
    /// A comparison of an expression of the left side with one of the right, in this order.
    fn compared(&self, condition: Expr) -> Result<Option<(Expr, Operator, Expr)>> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else {
            return Ok(None);
        };
        if is_of(&left, self.left) && is_of(&right, self.right) {
            return Ok(Some((*left, op, *right)));
        }
        let Some(swapped) = op.swap() else {
            return Ok(None);
        };
        let is_swapped = is_of(&right, self.left) && is_of(&left, self.right);
        Ok(is_swapped.then_some((*right, swapped, *left)))
    }

    fn of_one_type(&self, left: Expr, right: Expr) -> Result<(Expr, Expr)> {
        let types = (
            left.get_type(self.left.schema())?,
            right.get_type(self.right.schema())?,
        );
        let coercer = BinaryTypeCoercer::new(&types.0, &Operator::Eq, &types.1);
        let (common, _) = coercer.get_input_types()?;
        Ok((
            left.cast_to(&common, self.left.schema())?,
            right.cast_to(&common, self.right.schema())?,
        ))
    }

    /// Expressions that tell the time, or anything that goes on in numbers.
    fn times(&self, left: Expr, right: Expr, place: Option<Place>) -> Result<(Expr, Expr)> {
        let (left, right) = self.of_one_type(left, right)?;
        let wide = match left.get_type(self.left.schema())? {
            DataType::Timestamp(..) | DataType::Int64 | DataType::Decimal128(..) => {
                return Ok((left, right));
            }
            DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int64,
            other => {
                let message = format!(
                    "MATCH_CONDITION cannot compare values of type {}",
                    sql_name(&other)
                );
                let error = SqlError::new("42804", message).at_known(place);
                return Err(external(error.with_hint(
                    "compare timestamps, dates, whole numbers or NUMERIC, or cast to one of these",
                )));
            }
        };
        Ok((cast(left, wide.clone()), cast(right, wide)))
    }
}

/// Whether an expression reads columns of a side and nothing else.
fn is_of(expression: &Expr, side: &LogicalPlan) -> bool {
    let columns = expression.column_refs();
    let mut columns = columns.into_iter();
    columns.len() > 0 && columns.all(|column| side.schema().has_column(column))
}

fn columns_of(side: &LogicalPlan) -> Vec<Expr> {
    let columns = side.schema().columns();
    columns.into_iter().map(Expr::Column).collect()
}

/// Whether SQL's order of a type is one that rows can be sorted by.
fn is_ordered(data_type: &DataType) -> bool {
    !data_type.is_nested() && !matches!(data_type, DataType::Interval(_))
}

fn null(column: &Expr, side: &LogicalPlan) -> Result<Expr> {
    let data_type = column.get_type(side.schema())?;
    Ok(lit(ScalarValue::try_new_null(&data_type)?))
}

fn key(n: usize) -> String {
    format!("[key {n}]")
}

fn left_column(n: usize) -> String {
    format!("[left {n}]")
}

fn right_column(n: usize) -> String {
    format!("[right {n}]")
}

/// The conditions of which all are to hold.
fn split(condition: Ast, conditions: &mut Vec<Ast>) {
    match condition {
        Ast::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            split(*left, conditions);
            split(*right, conditions);
        }
        Ast::Nested(inner) => split(*inner, conditions),
        other => conditions.push(other),
    }
}

fn refused(what: &str, place: Option<Place>) -> DataFusionError {
    let message = format!("{what} cannot be planned in an ASOF JOIN");
    external(SqlError::unsupported(message).at_known(place).with_hint(
        "write a ASOF JOIN b MATCH_CONDITION (a.at >= b.at) ON a.key = b.key; further conditions \
         belong in WHERE or in a subquery",
    ))
}
