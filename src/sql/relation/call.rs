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

use crate::sql::error::{Place, SqlError};
use crate::sql::place::of_part;
use crate::sql::planner::external;
use crate::sql::types::sql_name;

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
    /// The place of the call, and of the argument that has been read last.
    place: Option<Place>,
    /// How this argument is written.
    written: String,
    /// The rows of the first argument.
    input: LogicalPlan,
    /// What the rows are called, unless the call has an alias.
    name: String,
}

impl<'c> Call<'c> {
    /// Plans the first argument, a table or a subquery.
    pub fn new(
        function: Function,
        place: Option<Place>,
        arguments: TableFunctionArgs,
        context: &'c mut dyn RelationPlannerContext,
    ) -> Result<Call<'c>> {
        let expressions = arguments.args.into_iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(expression),
            other => Err(misused(function, of_part(&other).or(place))),
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
            _ => return Err(misused(function, place)),
        };
        let input = context.plan(relation)?;
        let has_window = |name: &str| input.schema().has_column_with_unqualified_name(name);
        if has_window(WINDOW_START) || has_window(WINDOW_END) {
            let message = format!(
                "the rows given to {}() have windows already",
                function.name()
            );
            let error = SqlError::new("42701", message).at_known(place);
            return Err(external(error.with_hint(
                "give their window_start and window_end other names in a subquery",
            )));
        }
        Ok(Call {
            function,
            context,
            arguments,
            place,
            written: String::new(),
            input,
            name,
        })
    }

    fn next(&mut self) -> Result<Expr> {
        let argument = self.arguments.next();
        let argument = argument.ok_or_else(|| misused(self.function, self.place))?;
        self.place = of_part(&argument).or(self.place);
        self.written = argument.to_string();
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
                let (name, written) = (self.function.name(), &self.written);
                let message = format!(
                    "{name}() needs a timestamp or a date, and {written} is of type {}",
                    sql_name(&other)
                );
                let error = SqlError::new("42804", message).at_known(self.place);
                Err(external(error.with_hint(
                    "cast it to a TIMESTAMP, or make one of seconds with to_timestamp_seconds()",
                )))
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
            _ => Err(misused(self.function, self.place)),
        }
    }

    fn interval(&mut self) -> Result<IntervalMonthDayNano> {
        match self.next()? {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => Ok(interval),
            _ => Err(self.refused(&format!(
                "{} is not an interval such as INTERVAL '1 hour'",
                self.written
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

    /// A refusal of the last argument, with how the function is written.
    pub fn refused(&self, message: &str) -> DataFusionError {
        let message = format!("{}(): {message}", self.function.name());
        let error = SqlError::syntax(message).at_known(self.place);
        external(error.with_hint(format!("write {}", self.function.usage())))
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

fn misused(function: Function, place: Option<Place>) -> DataFusionError {
    let message = format!("{}() is not written like that", function.name());
    let error = SqlError::syntax(message).at_known(place);
    external(error.with_hint(format!("write {}", function.usage())))
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
