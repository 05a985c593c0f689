//! Whole numbers that become too large for their type, and doubles that are divided by zero, as
//! errors.
//!
//! DataFusion adds, subtracts and multiplies whole numbers modulo 2⁶⁴, so that what is too large comes
//! out as another number. Live views set a flag of the physical operators; queries, whose operators
//! DataFusion makes by itself, and constants, which it computes before there are any, have a
//! function in their place. So has each division of doubles, of which it would make an infinity or
//! NaN.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Float64Array};
use arrow::compute::cast;
use arrow::compute::kernels::numeric::{add, div, mul, sub};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    AggregateUDF, BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator,
    ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    WindowFunctionDefinition,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::expressions::BinaryExpr as PhysicalBinary;
use datafusion::physical_expr_common::datum::apply;
use datafusion::scalar::ScalarValue;

use crate::sql::aggregates::checked_sums;
use crate::sql::aggregates::interval_sums;
use crate::sql::functions::call_column::{operator_name, strict_field};
use crate::sql::node::has_expression;
use crate::sql::plan::Expression;

/// The rule; it stands before those that compute constants.
#[derive(Debug)]
pub struct CheckedNumbers {
    /// Whether of whole numbers only constants are looked at.
    pub constants_only: bool,
}

impl OptimizerRule for CheckedNumbers {
    fn name(&self) -> &str {
        "checked_numbers"
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
        if matches!(plan, LogicalPlan::TableScan(_) | LogicalPlan::Limit(_)) {
            return Ok(Transformed::no(plan));
        }
        if !has_expression(&plan, |expression| self.concerns(expression))? {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let has_names = !matches!(plan, LogicalPlan::Sort(_) | LogicalPlan::Values(_));
        plan.map_expressions(|expression| {
            let name = names.save(&expression);
            let checked = expression.transform_up(|part| Ok(self.checked(part, &schema)))?;
            Ok(checked.update_data(|expression| match has_names {
                true => name.restore(expression),
                false => expression,
            }))
        })
    }
}

fn may_become_too_large(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Plus | Operator::Minus | Operator::Multiply
    )
}

/// Whether an expression is made of literals alone; a moment that is still to come is none.
fn is_constant(expression: &Expr) -> bool {
    let varies = expression.exists(|part| {
        Ok(match part {
            Expr::Literal(..) | Expr::Alias(_) | Expr::BinaryExpr(_) | Expr::Negative(_) => false,
            Expr::Cast(_) | Expr::TryCast(_) => false,
            Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<Arithmetic>().is_none(),
            _ => true,
        })
    });
    varies.is_ok_and(|varies| !varies)
}

impl CheckedNumbers {
    fn concerns(&self, expression: &Expr) -> Result<bool> {
        expression.exists(|part| {
            Ok(match part {
                Expr::BinaryExpr(binary) => {
                    may_become_too_large(binary.op) || binary.op == Operator::Divide
                }
                Expr::AggregateFunction(call) => !self.constants_only && call.func.name() == "sum",
                Expr::WindowFunction(call) => !self.constants_only && call.fun.name() == "sum",
                _ => false,
            })
        })
    }

    fn checked(&self, part: Expr, schema: &DFSchema) -> Transformed<Expr> {
        let BinaryExpr { left, op, right } = match part {
            Expr::BinaryExpr(binary) if binary.op == Operator::Divide => {
                return divided(binary, schema);
            }
            Expr::BinaryExpr(binary) if may_become_too_large(binary.op) => binary,
            other if self.constants_only => return Transformed::no(other),
            other => return with_checked_sum(other, schema),
        };
        let is_looked_at = |side: &Expr| !self.constants_only || is_constant(side);
        let types = (left.get_type(schema), right.get_type(schema));
        match types {
            (Ok(of_left), Ok(of_right))
                if of_left.is_integer()
                    && of_left == of_right
                    && is_looked_at(&left)
                    && is_looked_at(&right) =>
            {
                Transformed::yes(computed(op, *left, *right))
            }
            _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        }
    }
}

/// A division of doubles that fails where the divisor is zero.
fn divided(binary: BinaryExpr, schema: &DFSchema) -> Transformed<Expr> {
    let types = (binary.left.get_type(schema), binary.right.get_type(schema));
    let are_doubles = matches!(types, (Ok(left), Ok(right)) if left.is_floating() && left == right);
    match are_doubles && !is_written(&binary.right) {
        true => Transformed::yes(computed(binary.op, *binary.left, *binary.right)),
        false => Transformed::no(Expr::BinaryExpr(binary)),
    }
}

/// Whether a divisor is a number as it is written, and not zero.
fn is_written(divisor: &Expr) -> bool {
    match divisor {
        Expr::Alias(alias) => is_written(&alias.expr),
        Expr::Cast(cast) if *cast.field.data_type() == DataType::Float64 => is_written(&cast.expr),
        Expr::Literal(number, _) => {
            let number = number.cast_to(&DataType::Float64);
            matches!(number, Ok(ScalarValue::Float64(Some(number))) if number != 0.0)
        }
        _ => false,
    }
}

/// The function in the place of an operator.
fn computed(operator: Operator, left: Expr, right: Expr) -> Expr {
    let function = Arithmetic {
        operator,
        signature: Signature::any(2, Volatility::Immutable),
    };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right]))
}

/// What doubles give that are divided. As in Postgres NaN may be divided by zero, an infinity not.
fn quotient(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let quotients = div(left, right)?;
    let found = doubles(quotients.as_ref())?;
    if found.values().iter().all(|number| number.is_finite()) {
        return Ok(quotients);
    }
    let ((dividends, is_one_dividend), (divisors, is_one_divisor)) = (left.get(), right.get());
    let (dividends, divisors) = (doubles(dividends)?, doubles(divisors)?);
    let place = |row: usize, is_one: bool| if is_one { 0 } else { row };
    let is_undefined = |row: usize| {
        let dividend = dividends.value(place(row, is_one_dividend));
        let divisor = divisors.value(place(row, is_one_divisor));
        found.is_valid(row) && divisor == 0.0 && !dividend.is_nan()
    };
    match (0..found.len()).any(is_undefined) {
        true => Err(ArrowError::DivideByZero),
        false => Ok(quotients),
    }
}

fn doubles(numbers: &dyn Array) -> Result<Float64Array, ArrowError> {
    let numbers = cast(numbers, &DataType::Float64)?;
    Ok(numbers.as_primitive::<Float64Type>().clone())
}

/// The same call with a sum that fails where it is too large.
fn with_checked_sum(part: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let in_place_of = |function: &Arc<AggregateUDF>, arguments: &[Expr]| {
        let argument = arguments.first()?.get_type(schema).ok()?;
        let of_intervals = || interval_sums::in_place_of(function, &argument);
        checked_sums::in_place_of(function, &argument).or_else(of_intervals)
    };
    match part {
        Expr::AggregateFunction(mut call) => match in_place_of(&call.func, &call.params.args[..]) {
            Some(function) => {
                call.func = function;
                Transformed::yes(Expr::AggregateFunction(call))
            }
            None => Transformed::no(Expr::AggregateFunction(call)),
        },
        Expr::WindowFunction(mut call) => {
            let function = match &call.fun {
                WindowFunctionDefinition::AggregateUDF(function) => {
                    in_place_of(function, &call.params.args[..])
                }
                WindowFunctionDefinition::WindowUDF(_) => None,
            };
            let is_checked = function.is_some();
            if let Some(function) = function {
                call.fun = WindowFunctionDefinition::AggregateUDF(function);
            }
            let call = Expr::WindowFunction(call);
            match is_checked {
                true => Transformed::yes(call),
                false => Transformed::no(call),
            }
        }
        other => Transformed::no(other),
    }
}

/// An operation of two whole numbers of one type, or the division of two doubles.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    operator: Operator,
    signature: Signature,
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        match self.operator {
            Operator::Minus => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            _ => "+",
        }
    }

    /// As the operator calls its column.
    fn schema_name(&self, sides: &[Expr]) -> Result<String> {
        Ok(operator_name(sides, self.name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [left, _] => Ok(left.clone()),
            _ => plan_err!("{} takes two numbers", self.name()),
        }
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        strict_field(self, given)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = &given.args[..] else {
            return plan_err!("{} takes two numbers", self.name());
        };
        match self.operator {
            Operator::Minus => apply(left, right, sub),
            Operator::Multiply => apply(left, right, mul),
            Operator::Divide => apply(left, right, quotient),
            _ => apply(left, right, add),
        }
    }
}

/// The same expression, of which the operators fail where a number becomes too large.
pub fn checked(expression: Expression) -> Result<Expression> {
    let checked = expression.transform_up(|part| {
        let binary = part.downcast_ref::<PhysicalBinary>();
        Ok(match binary {
            Some(binary) if may_become_too_large(*binary.op()) => {
                let checked = binary.clone().with_fail_on_overflow(true);
                Transformed::yes(Arc::new(checked) as Expression)
            }
            _ => Transformed::no(part),
        })
    });
    checked.data()
}
