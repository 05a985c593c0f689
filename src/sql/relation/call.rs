//! Calls of functions over the rows of a table.

use std::vec::IntoIter;

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::{Column, TableReference};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, TableFactor,
    TableFunctionArgs,
};

use crate::sql::error::SqlError;
use crate::sql::planner::external;

const WINDOW_START: &str = "window_start";
const WINDOW_END: &str = "window_end";

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Tumble,
    Hop,
    Session,
}

impl Function {
    pub fn named(name: &str) -> Option<Function> {
        match name {
            "tumble" => Some(Function::Tumble),
            "hop" => Some(Function::Hop),
            "session" => Some(Function::Session),
            _ => None,
        }
    }

    fn usage(self) -> &'static str {
        match self {
            Function::Tumble => "tumble(table, time, size [, offset])",
            Function::Hop => "hop(table, time, slide, size [, offset])",
            Function::Session => "session(table, time, gap [, key, …])",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Function::Tumble => "tumble",
            Function::Hop => "hop",
            Function::Session => "session",
        }
    }
}

/// A call, with its arguments but the first still to be read.
pub struct Call<'c> {
    function: Function,
    context: &'c mut dyn RelationPlannerContext,
    arguments: IntoIter<Ast>,
    /// The rows of the first argument.
    input: LogicalPlan,
    /// What the rows are called, unless the call has an alias.
    name: String,
}

impl<'c> Call<'c> {
    /// Plans the first argument, a table or a subquery.
    pub fn new(
        function: Function,
        arguments: TableFunctionArgs,
        context: &'c mut dyn RelationPlannerContext,
    ) -> Result<Call<'c>> {
        let expressions = arguments.args.into_iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(expression),
            _ => Err(misused(function)),
        });
        let mut arguments = expressions.collect::<Result<Vec<_>>>()?.into_iter();
        let (relation, name) = match arguments.next() {
            Some(Ast::Identifier(name)) => table(vec![name], context),
            Some(Ast::CompoundIdentifier(names)) => table(names, context),
            Some(Ast::Subquery(query)) => {
                let rows = TableFactor::Derived {
                    lateral: false,
                    subquery: query,
                    alias: None,
                    sample: None,
                };
                (rows, function.name().to_owned())
            }
            _ => return Err(misused(function)),
        };
        let input = context.plan(relation)?;
        let has_window = |name: &str| input.schema().has_column_with_unqualified_name(name);
        if has_window(WINDOW_START) || has_window(WINDOW_END) {
            let message = format!(
                "the rows given to {}() have windows already",
                function.name()
            );
            let error = SqlError::new("42701", message);
            return Err(external(error.with_hint(
                "give their window_start and window_end other names in a subquery",
            )));
        }
        Ok(Call {
            function,
            context,
            arguments,
            input,
            name,
        })
    }

    fn next(&mut self) -> Result<Expr> {
        let argument = self.arguments.next();
        let argument = argument.ok_or_else(|| misused(self.function))?;
        self.context.sql_to_expr(argument, self.input.schema())
    }

    /// The next argument as a moment.
    pub fn time(&mut self) -> Result<Expr> {
        let time = self.next()?;
        match time.get_type(self.input.schema())? {
            DataType::Timestamp(..) => Ok(time),
            DataType::Date32 | DataType::Date64 => {
                Ok(cast(time, DataType::Timestamp(TimeUnit::Microsecond, None)))
            }
            other => {
                let name = self.function.name();
                let message =
                    format!("{name}() needs a timestamp or a date, and {time} is of type {other}");
                Err(external(SqlError::new("42804", message)))
            }
        }
    }

    /// The type of an expression over the rows.
    pub fn type_of(&self, expression: &Expr) -> Result<DataType> {
        expression.get_type(self.input.schema())
    }

    /// The next argument as a length of time, more than nothing.
    pub fn length(&mut self) -> Result<IntervalMonthDayNano> {
        let length = self.interval()?;
        let parts = [
            i64::from(length.months),
            i64::from(length.days),
            length.nanoseconds,
        ];
        let is_positive = parts.iter().all(|part| *part >= 0) && parts.iter().any(|part| *part > 0);
        let is_mixed = length.months > 0 && (length.days > 0 || length.nanoseconds > 0);
        match is_positive && !is_mixed {
            true => Ok(length),
            false => Err(self.refused(
                "lengths of windows are more than nothing, and months do not mix with days",
            )),
        }
    }

    /// The last argument, if it is there.
    pub fn offset(&mut self) -> Result<Option<IntervalMonthDayNano>> {
        match self.arguments.len() {
            0 => Ok(None),
            1 => self.interval().map(Some),
            _ => Err(misused(self.function)),
        }
    }

    fn interval(&mut self) -> Result<IntervalMonthDayNano> {
        match self.next()? {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => Ok(interval),
            other => Err(self.refused(&format!(
                "{other} is not an interval such as INTERVAL '1 hour'"
            ))),
        }
    }

    /// All arguments that are left.
    pub fn rest(&mut self) -> Result<Vec<Expr>> {
        let mut rest = Vec::new();
        while self.arguments.len() > 0 {
            rest.push(self.next()?);
        }
        Ok(rest)
    }

    /// A refusal with how the function is written.
    pub fn refused(&self, message: &str) -> DataFusionError {
        let message = format!("{}(): {message}", self.function.name());
        external(SqlError::syntax(message).with_hint(format!("write {}", self.function.usage())))
    }

    /// A call of one of DataFusion's functions.
    pub fn scalar(&self, name: &str, arguments: Vec<Expr>) -> Result<Expr> {
        let function = self.context.context_provider().get_function_meta(name);
        let function =
            function.ok_or_else(|| self.refused(&format!("there is no function called {name}")))?;
        Ok(function.call(arguments))
    }

    /// The rows that have a time.
    pub fn timed_rows(&self, time: &Expr) -> Result<LogicalPlanBuilder> {
        LogicalPlanBuilder::from(self.input.clone()).filter(time.clone().is_not_null())
    }

    /// The columns of the rows.
    pub fn columns(&self) -> impl Iterator<Item = Expr> {
        let columns = self.input.schema().columns();
        columns.into_iter().map(Expr::Column)
    }

    /// The rows with the bounds of their windows.
    pub fn windowed(self, rows: LogicalPlanBuilder, start: Expr, end: Expr) -> Result<LogicalPlan> {
        let window = [start.alias(WINDOW_START), end.alias(WINDOW_END)];
        let columns: Vec<Expr> = self.columns().chain(window).collect();
        rows.project(columns)?
            .alias(TableReference::bare(self.name))?
            .build()
    }
}

fn misused(function: Function) -> DataFusionError {
    let message = format!("{}() is not written like that", function.name());
    external(SqlError::syntax(message).with_hint(format!("write {}", function.usage())))
}

/// A table by its name, and what its rows are called.
fn table(names: Vec<Ident>, context: &dyn RelationPlannerContext) -> (TableFactor, String) {
    let last = names.last().cloned();
    let name = last.map(|name| context.normalize_ident(name));
    let parts = names.into_iter().map(ObjectNamePart::Identifier);
    let relation = TableFactor::Table {
        name: ObjectName(parts.collect()),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
    (relation, name.unwrap_or_default())
}

/// An interval as an expression.
pub fn interval(interval: IntervalMonthDayNano) -> Expr {
    lit(ScalarValue::IntervalMonthDayNano(Some(interval)))
}

/// A column by its name alone.
pub fn own_column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}
