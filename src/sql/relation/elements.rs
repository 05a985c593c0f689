//! Functions in FROM that give a row for each element of a list: `unnest(…)`, `generate_series(…)`
//! and the like, for each row of what stands before them.
//!
//! They are planned together with what stands before them, so that no join is needed: the lists
//! become columns of its rows, and are taken apart. Those that read nothing of each other are joined.
//! `element_functions` has the functions, `element_joins` tells which joins with them these are.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, NullHandling, TableReference, UnnestOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, FunctionArg, FunctionArgExpr, Join, TableAlias, TableFactor,
};

use super::call::own_column;
use super::element_functions::{Function, function_of, refusal, unnest};
use super::element_joins::{Joined, is_joined};
use crate::sql::error::SqlError;
use crate::sql::planner::external;
use crate::sql::rules::group_keys;

/// How the names of lists begin, before they are taken apart.
const LIST: &str = "[list ";

/// Whether a column is a list of such a function.
pub fn is_list_in_from(column: &Column) -> bool {
    column.name.starts_with(LIST)
}

/// Plans such a function, alone or with the rows before it.
pub fn plan(
    relation: TableFactor,
    context: &mut dyn RelationPlannerContext,
) -> Result<RelationPlanning> {
    if function_of(&relation).is_some() {
        let one_row = LogicalPlanBuilder::empty(true).build()?;
        let elements = Elements::of(relation)?;
        let plan = elements.of_each(one_row, NullHandling::Drop, context)?;
        let planned = PlannedRelation::new(plan, None);
        return Ok(RelationPlanning::Planned(Box::new(planned)));
    }
    let TableFactor::NestedJoin {
        mut table_with_joins,
        alias,
    } = relation
    else {
        return Ok(RelationPlanning::Original(Box::new(relation)));
    };
    match table_with_joins.joins.pop() {
        Some(join) if is_joined(&table_with_joins.relation, &table_with_joins.joins, &join) => {
            let left = match table_with_joins.joins.is_empty() {
                true => table_with_joins.relation,
                false => TableFactor::NestedJoin {
                    table_with_joins,
                    alias: None,
                },
            };
            let plan = joined(left, join, context)?;
            let planned = PlannedRelation::new(plan, alias);
            Ok(RelationPlanning::Planned(Box::new(planned)))
        }
        last => {
            table_with_joins.joins.extend(last);
            let relation = TableFactor::NestedJoin {
                table_with_joins,
                alias,
            };
            Ok(RelationPlanning::Original(Box::new(relation)))
        }
    }
}

fn joined(
    left: TableFactor,
    join: Join,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let rows = context.plan(left)?;
    let Some(Joined { nulls, condition }) = Joined::of(&join.join_operator) else {
        return Err(external(SqlError::unsupported("this join with a function")));
    };
    let plan = Elements::of(join.relation)?.of_each(rows, nulls, context)?;
    let Some(condition) = condition else {
        return Ok(plan);
    };
    let condition = context.sql_to_expr(condition, plan.schema())?;
    LogicalPlanBuilder::from(plan).filter(condition)?.build()
}

/// A call of such a function.
struct Elements {
    function: &'static Function,
    arguments: Vec<Ast>,
    alias: Option<TableAlias>,
    /// Whether the position of each element is wanted, too.
    is_numbered: bool,
}

impl Elements {
    fn of(relation: TableFactor) -> Result<Elements> {
        let function = function_of(&relation).unwrap_or_else(unnest);
        let (arguments, alias, is_numbered) = match relation {
            TableFactor::UNNEST {
                array_exprs,
                alias,
                with_ordinality,
                ..
            } => (array_exprs, alias, with_ordinality),
            TableFactor::Table {
                args: Some(arguments),
                alias,
                with_ordinality,
                ..
            } => (
                values(function.name, arguments.args)?,
                alias,
                with_ordinality,
            ),
            TableFactor::Function {
                args,
                alias,
                with_ordinality,
                ..
            } => (values(function.name, args)?, alias, with_ordinality),
            _ => return Err(misused(function.name, "it takes a list")),
        };
        Ok(Elements {
            function,
            arguments,
            alias,
            is_numbered,
        })
    }

    /// The elements of each of some rows, behind the columns of the row.
    fn of_each(
        self,
        rows: LogicalPlan,
        nulls: NullHandling,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<LogicalPlan> {
        let schema = Arc::clone(rows.schema());
        let mut arguments = Vec::new();
        for argument in &self.arguments {
            let planned = context.sql_to_expr(argument.clone(), &schema);
            arguments.push(planned.map_err(unread)?);
        }
        let json = arguments.first().cloned();
        let mut lists = match self.function.list {
            Some(list) => vec![scalar(context, list, arguments)?],
            None => arguments,
        };
        for list in &lists {
            check_list(self.function.name, list, list.get_type(&schema)?)?;
        }
        let (table, names) = self.names(lists.len(), context)?;
        if self.is_numbered {
            lists.push(positions(context, &lists)?);
        }
        let kept: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
        // Several calls in one FROM must not meet.
        let lanes = (1..=lists.len()).map(|n| format!("{LIST}{n} of {table}]"));
        let lanes: Vec<String> = lanes.collect();
        let mut values: Vec<Expr> = lanes.iter().map(|lane| own_column(lane)).collect();
        if let (Some(member), Some(json), Some(key)) =
            (self.function.member, json, values.first().cloned())
        {
            values.insert(1, scalar(context, member, vec![json, key])?);
        }
        let given = lists.into_iter().zip(&lanes);
        let given = given.map(|(list, lane)| list.alias(lane.as_str()));
        let given: Vec<Expr> = kept.iter().cloned().chain(given).collect();
        let named = values.into_iter().zip(names);
        let named = named.map(|(value, name)| value.alias_qualified(Some(table.clone()), name));
        let named: Vec<Expr> = kept.into_iter().chain(named).collect();
        let apart = lanes.iter().map(Column::new_unqualified);
        let apart: Vec<Column> = apart.collect();
        let options = UnnestOptions::new().with_null_handling(nulls);
        let elements = LogicalPlanBuilder::from(rows)
            .project(given)?
            .unnest_columns_with_options(apart, options)?
            .build()?;
        LogicalPlanBuilder::from(group_keys::of_elements(elements)?)
            .project(named)?
            .build()
    }

    /// What the rows are called, and their columns: as in Postgres, a single column is called like
    /// the table.
    fn names(
        &self,
        lists: usize,
        context: &dyn RelationPlannerContext,
    ) -> Result<(TableReference, Vec<String>)> {
        let alias = self.alias.as_ref();
        let table = alias.map(|alias| context.normalize_ident(alias.name.clone()));
        let table = table.unwrap_or_else(|| self.function.name.to_owned());
        let mut names = match (self.function.member, lists) {
            (Some(_), _) => vec!["key".to_owned(), "value".to_owned()],
            (None, 1) => vec![table.clone()],
            (None, lists) => vec![self.function.name.to_owned(); lists],
        };
        if self.is_numbered {
            names.push("ordinality".to_owned());
        }
        let given = alias.map(|alias| &alias.columns[..]).unwrap_or_default();
        if given.len() > names.len() || given.iter().any(|column| column.data_type.is_some()) {
            let message = format!("it gives columns for {} names, without types", names.len());
            return Err(misused(self.function.name, &message));
        }
        if self.function.member.is_some() && self.arguments.len() != 1 {
            return Err(misused(self.function.name, "it takes a JSON text"));
        }
        for (name, given) in names.iter_mut().zip(given) {
            *name = context.normalize_ident(given.name.clone());
        }
        Ok((TableReference::bare(table), names))
    }
}

fn values(function: &str, arguments: Vec<FunctionArg>) -> Result<Vec<Ast>> {
    let values = arguments.into_iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Ok(value),
        _ => Err(misused(function, "its arguments have no names")),
    });
    values.collect()
}

fn check_list(function: &str, list: &Expr, given: DataType) -> Result<()> {
    match given {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Ok(()),
        other => {
            let message = format!("{function}() takes a list, and {list} is of type {other}");
            Err(external(SqlError::new("42804", message).about(function)))
        }
    }
}

/// The positions of the elements, as a list of the length of the longest one.
fn positions(context: &dyn RelationPlannerContext, lists: &[Expr]) -> Result<Expr> {
    let lengths = lists.iter().map(|list| {
        let length = scalar(context, "array_length", vec![list.clone()])?;
        Ok(cast(length, DataType::Int64))
    });
    let mut lengths = lengths.collect::<Result<Vec<Expr>>>()?;
    let longest = match lengths.len() {
        1 => lengths.remove(0),
        _ => scalar(context, "greatest", lengths)?,
    };
    scalar(context, "generate_series", vec![lit(1_i64), longest])
}

/// A call of a scalar function.
fn scalar(context: &dyn RelationPlannerContext, name: &str, arguments: Vec<Expr>) -> Result<Expr> {
    match context.context_provider().get_function_meta(name) {
        Some(function) => Ok(function.call(arguments)),
        None => Err(external(refusal(name))),
    }
}

/// Why an argument cannot be planned; where nothing stands before the function, which columns it may
/// ask for.
fn unread(error: DataFusionError) -> DataFusionError {
    let error = SqlError::from(error);
    let is_unexplained = error.hint.is_none() && error.sqlstate == "42703";
    external(match is_unexplained {
        true => error.with_hint(
            "a function in FROM reads the tables before it to which it is joined by a comma, \
             CROSS JOIN, JOIN … ON or LEFT JOIN … ON, and those of the queries around it",
        ),
        false => error,
    })
}

fn misused(function: &str, how: &str) -> DataFusionError {
    let error = SqlError::syntax(format!("{function}() in FROM: {how}"));
    let hint = format!("write {function}(…) AS name(column), with WITH ORDINALITY before AS");
    external(error.about(function).with_hint(hint))
}
