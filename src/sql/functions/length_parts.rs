//! `extract(hour FROM a - b)`: the hours beside the whole days, as in Postgres.
//!
//! Of the time between two moments DataFusion gives all hours, minutes and seconds, although it
//! gives whole days, too.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, binary_expr, lit};

/// Takes what is in the larger parts out of the smaller ones.
#[derive(Debug)]
pub struct LengthParts;

impl FunctionRewrite for LengthParts {
    fn name(&self) -> &str {
        "length_parts"
    }

    fn rewrite(
        &self,
        expression: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let limit = match &expression {
            Expr::ScalarFunction(call) => limit_of(call, schema),
            _ => None,
        };
        Ok(match limit {
            // Twice makes no difference, should a plan be analysed again.
            Some(limit) => Transformed::yes(binary_expr(expression, Operator::Modulo, lit(limit))),
            None => Transformed::no(expression),
        })
    }
}

/// How many of the part that is asked for make one of the next larger, where the value is the time
/// between two moments.
fn limit_of(call: &ScalarFunction, schema: &DFSchema) -> Option<i32> {
    let [Expr::Literal(part, _), length] = &call.args[..] else {
        return None;
    };
    let is_length = matches!(length.get_type(schema), Ok(DataType::Duration(_)));
    if call.name() != "date_part" || !is_length {
        return None;
    }
    let part = part.try_as_str()??.to_lowercase();
    match part.trim_matches(['\'', '"']) {
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(24),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(60),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Some(60_000),
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => Some(60_000_000),
        _ => None,
    }
}
