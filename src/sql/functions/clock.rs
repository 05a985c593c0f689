//! `now()`, `current_timestamp` and `current_date`: the timestamp of the moment that is read.
//!
//! An ad hoc query gets its value before it is optimised ([`at`]). In a live view it stays open
//! ([`symbolic`]), so that neither the optimiser nor anything else can take it for a constant.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, TableReference, internal_err};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::sql::plan::temporal::now_type;

/// The name of the open moment, which no parameter of a user can have.
const MOMENT: &str = "$now()";
const DAY_MS: u64 = 86_400_000;

/// The `now()` of the dialect, with the precision of microseconds.
pub fn now_function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(NowFunction {
        signature: Signature::nullary(Volatility::Stable),
        aliases: ["current_timestamp".to_owned()],
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NowFunction {
    signature: Signature,
    aliases: [String; 1],
}

impl ScalarUDFImpl for NowFunction {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(now_type())
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        internal_err!("now() gets its value before a query is run")
    }
}

/// Functions of the clock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    Moment,
    Date,
    /// The time of day.
    Time,
}

fn clock_of(expression: &Expr) -> Option<Clock> {
    let Expr::ScalarFunction(call) = expression else {
        return None;
    };
    match call.func.name() {
        "now" => Some(Clock::Moment),
        "current_date" => Some(Clock::Date),
        "current_time" => Some(Clock::Time),
        _ => None,
    }
}

/// Whether an expression is a call of a function of the clock that a live view cannot follow.
pub fn is_time_of_day(expression: &Expr) -> bool {
    clock_of(expression) == Some(Clock::Time)
}

/// Whether an expression reads the clock.
pub fn is_asked(expression: &Expr) -> DataFusionResult<bool> {
    expression.exists(|part| Ok(clock_of(part).is_some()))
}

/// Whether a plan reads the clock.
pub fn is_read(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            found |= is_asked(expression)?;
            Ok(match found {
                true => TreeNodeRecursion::Stop,
                false => TreeNodeRecursion::Continue,
            })
        })
    })?;
    Ok(found)
}

/// A plan with the clock standing at a timestamp (ms).
pub fn at(plan: LogicalPlan, timestamp_ms: u64) -> DataFusionResult<LogicalPlan> {
    replace(plan, &|clock| value_at(clock, timestamp_ms))
}

fn value_at(clock: Clock, timestamp_ms: u64) -> Expr {
    let days = (timestamp_ms / DAY_MS) as i32;
    let value = match clock {
        Clock::Moment => {
            ScalarValue::TimestampMicrosecond(Some(timestamp_ms as i64 * 1000), Some("UTC".into()))
        }
        Clock::Date => ScalarValue::Date32(Some(days)),
        Clock::Time => {
            ScalarValue::Time64Nanosecond(Some((timestamp_ms % DAY_MS) as i64 * 1_000_000))
        }
    };
    Expr::Literal(value, None)
}

/// A plan with the clock left open.
pub fn symbolic(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    let field = Arc::new(Field::new(MOMENT, now_type(), false));
    let moment = || {
        Expr::Placeholder(Placeholder::new_with_field(
            MOMENT.to_owned(),
            Some(Arc::clone(&field)),
        ))
    };
    replace(plan, &|clock| match clock {
        Clock::Moment | Clock::Time => moment(),
        Clock::Date => Expr::Cast(Cast::new(Box::new(moment()), DataType::Date32)),
    })
}

fn replace(plan: LogicalPlan, value: &dyn Fn(Clock) -> Expr) -> DataFusionResult<LogicalPlan> {
    if !is_read(&plan)? {
        return Ok(plan);
    }
    let replaced = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let replaced = expression.transform_up(|part| {
                Ok(match clock_of(&part) {
                    Some(clock) => Transformed::yes(value(clock)),
                    None => Transformed::no(part),
                })
            })?;
            Ok(replaced.update_data(|expression| name.restore(expression)))
        })
    });
    replaced.data()
}

/// An expression with a column in the place of the open moment, and the schema with that column
/// behind its own; `None` if the expression does not read the clock.
pub fn moment_as_column(
    expression: &Expr,
    schema: &DFSchema,
) -> DataFusionResult<Option<(Expr, DFSchema)>> {
    let is_moment =
        |part: &Expr| matches!(part, Expr::Placeholder(Placeholder { id, .. }) if id == MOMENT);
    if !expression.exists(|part| Ok(is_moment(part)))? {
        return Ok(None);
    }
    let relation = TableReference::bare(MOMENT);
    let field = Field::new(MOMENT, now_type(), false);
    let moment = arrow::datatypes::Schema::new(vec![field]);
    let wider = schema.join(&DFSchema::try_from_qualified_schema(
        relation.clone(),
        &moment,
    )?)?;
    let column = Expr::Column(Column::new(Some(relation), MOMENT));
    let replaced = expression.clone().transform_up(|part| {
        Ok(match is_moment(&part) {
            true => Transformed::yes(column.clone()),
            false => Transformed::no(part),
        })
    });
    Ok(Some((replaced.data()?, wider)))
}
