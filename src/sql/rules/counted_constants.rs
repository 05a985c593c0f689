//! Long constants beside rows, with a bound on what a batch of rows makes of them.
//!
//! `unnest(generate_series(1, 9000000))` is one list for the optimiser, within the bounds of the
//! call that made it, and `repeat('x', 1000000)` one text; beside the rows of a table it is that
//! constant once more for each of them, all at once.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Operator, Projection, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Unnest, Volatility,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::scalar::ScalarValue;

use crate::sql::functions::amounts::amount;
use crate::sql::functions::bounded::{self, BYTES_MAX, VALUES_MAX, within};
use crate::sql::node::has_expression;
use crate::sql::operators::joined_text;

/// Lists of fewer values stay as they are where they are taken apart: a batch of rows makes no more
/// than is allowed of them.
const LONG: usize = 1_000;
/// The same for lists that are values.
const LONG_VALUE: f64 = 10_000.0;
/// The same for texts, in bytes.
const LONG_TEXT: f64 = 32_768.0;

/// The rule; it stands behind those that find constants.
#[derive(Debug)]
pub struct CountedConstants;

impl OptimizerRule for CountedConstants {
    fn name(&self) -> &str {
        "counted_constants"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match taken_apart(&plan)? {
            Some(counted) => Ok(Transformed::yes(counted)),
            None => in_expressions(plan),
        }
    }
}

/// The plan with its long lists counted, if it takes any apart.
fn taken_apart(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Unnest(unnest) = plan else {
        return Ok(None);
    };
    let LogicalPlan::Projection(projection) = unnest.input.as_ref() else {
        return Ok(None);
    };
    let mut is_changed = false;
    let mut expressions = projection.expr.clone();
    for expression in &mut expressions {
        let Expr::Alias(alias) = expression else {
            continue;
        };
        if let Expr::Literal(ScalarValue::List(list), _) = alias.expr.as_ref()
            && list.values().len() > LONG
        {
            let value = ScalarValue::List(Arc::clone(list));
            *alias.expr = counted("unnest", value, list.values().len(), 0);
            is_changed = true;
        }
    }
    if !is_changed {
        return Ok(None);
    }
    let input = Arc::clone(&projection.input);
    let schema = Arc::clone(&projection.schema);
    let projection = Projection::try_new_with_schema(expressions, input, schema)?;
    Ok(Some(LogicalPlan::Unnest(Unnest {
        input: Arc::new(LogicalPlan::Projection(projection)),
        ..unnest.clone()
    })))
}

/// The plan with the long constants of its expressions counted, and the lists that are made of
/// columns, too.
fn in_expressions(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    // The rows of VALUES are made one by one, and a table is asked for what is compared.
    if matches!(plan, LogicalPlan::Values(_) | LogicalPlan::TableScan(_)) {
        return Ok(Transformed::no(plan));
    }
    if !has_expression(&plan, concerns)? {
        return Ok(Transformed::no(plan));
    }
    let names = NamePreserver::new(&plan);
    let is_sort = matches!(plan, LogicalPlan::Sort(_));
    plan.map_expressions(|expression| {
        if !concerns(&expression)? {
            return Ok(Transformed::no(expression));
        }
        let name = names.save(&expression);
        let counted = in_expression(expression)?;
        Ok(counted.update_data(|expression| match is_sort {
            true => expression,
            false => name.restore(expression),
        }))
    })
}

fn concerns(expression: &Expr) -> Result<bool> {
    expression.exists(|part| {
        Ok(match part {
            Expr::Literal(value, _) => size(value)?.is_some(),
            Expr::ScalarFunction(call) => bounded::gathering(&call.func).is_some(),
            _ => false,
        })
    })
}

fn in_expression(expression: Expr) -> Result<Transformed<Expr>> {
    match expression {
        Expr::Literal(value, metadata) => Ok(match size(&value)? {
            Some((values, bytes)) => Transformed::yes(counted("", value, values, bytes)),
            None => Transformed::no(Expr::Literal(value, metadata)),
        }),
        other => {
            let keeps_constants = keeps_constants(&other);
            let within = other.map_children(|part| match part {
                constant @ Expr::Literal(..) if keeps_constants => Ok(Transformed::no(constant)),
                part => in_expression(part),
            })?;
            within.transform_data(|expression| Ok(bounded_list(expression)))
        }
    }
}

/// A list that is made of columns, with its bound.
fn bounded_list(expression: Expr) -> Transformed<Expr> {
    let Expr::ScalarFunction(call) = expression else {
        return Transformed::no(expression);
    };
    match bounded::gathering(&call.func) {
        Some(function) => {
            let call = ScalarFunction::new_udf(function, call.args);
            Transformed::yes(Expr::ScalarFunction(call))
        }
        None => Transformed::no(Expr::ScalarFunction(call)),
    }
}

/// Whether what is computed takes a constant as it is, or counts it by itself.
fn keeps_constants(expression: &Expr) -> bool {
    match expression {
        Expr::BinaryExpr(binary) => !matches!(
            binary.op,
            Operator::StringConcat | Operator::Plus | Operator::Minus
        ),
        Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::InList(_)
        | Expr::Between(_)
        | Expr::WindowFunction(_) => true,
        Expr::AggregateFunction(call) => call.func.name() == "string_agg",
        Expr::ScalarFunction(call) => {
            bounded::is_bounded(&call.func) || joined_text::is_joined(&call.func)
        }
        _ => false,
    }
}

/// How many values and bytes a long constant has.
fn size(value: &ScalarValue) -> Result<Option<(usize, usize)>> {
    let is_long = match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => text.len() as f64 > LONG_TEXT,
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes)) => bytes.len() as f64 > LONG_TEXT,
        ScalarValue::List(_) | ScalarValue::LargeList(_) | ScalarValue::Struct(_) => true,
        _ => false,
    };
    if !is_long {
        return Ok(None);
    }
    let (values, bytes) = amount(&value.to_array()?)?;
    let is_long = values > LONG_VALUE || bytes > LONG_TEXT;
    Ok(is_long.then_some((values as usize, bytes as usize)))
}

/// The constant, counted where it is evaluated.
fn counted(function: &'static str, value: ScalarValue, values: usize, bytes: usize) -> Expr {
    let function = CountedConstant {
        function,
        value,
        values,
        bytes,
        signature: Signature::nullary(Volatility::Volatile),
    };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, Vec::new()))
}

/// A constant that knows for how many rows it is wanted. It says that it is none, or it would be
/// taken for a constant again.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CountedConstant {
    /// The function that makes more of it; none where it is a value itself.
    function: &'static str,
    value: ScalarValue,
    values: usize,
    bytes: usize,
    signature: Signature,
}

impl ScalarUDFImpl for CountedConstant {
    fn name(&self) -> &str {
        "constant"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn return_field_from_args(&self, _given: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), self.value.data_type(), self.value.is_null());
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = given.number_rows as f64;
        let what = match self.function {
            "" => "a constant beside rows",
            function => function,
        };
        within(what, self.values as f64 * rows, VALUES_MAX, "values")?;
        within(what, self.bytes as f64 * rows, BYTES_MAX, "bytes")?;
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}
