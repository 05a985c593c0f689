//! Long constant lists that are taken apart, with a bound on what a batch of rows makes of them.
//!
//! `unnest(generate_series(1, 9000000))` is one list for the optimiser, within the bounds of the
//! call that made it; beside the rows of a table it is that list once more for each of them, all at
//! once.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Unnest, Volatility,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::scalar::ScalarValue;

use super::bounded::{VALUES_MAX, within};

/// Lists of fewer values stay as they are: a batch of rows makes no more than is allowed of them.
const LONG: usize = 1_000;

/// The rule; it stands behind those that find constants.
#[derive(Debug)]
pub struct CountedLists;

impl OptimizerRule for CountedLists {
    fn name(&self) -> &str {
        "counted_lists"
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
        match counted(&plan)? {
            Some(counted) => Ok(Transformed::yes(counted)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

/// The plan with its long lists counted, if it takes any apart.
fn counted(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
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
            let function = CountedList {
                values: list.values().len(),
                list: ScalarValue::List(Arc::clone(list)),
                signature: Signature::nullary(Volatility::Volatile),
            };
            let function = Arc::new(ScalarUDF::new_from_impl(function));
            *alias.expr = Expr::ScalarFunction(ScalarFunction::new_udf(function, Vec::new()));
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

/// A constant that knows for how many rows it is wanted. It says that it is none, or it would be
/// taken for a constant again.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CountedList {
    values: usize,
    list: ScalarValue,
    signature: Signature,
}

impl ScalarUDFImpl for CountedList {
    fn name(&self) -> &str {
        "list"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(self.list.data_type())
    }

    fn return_field_from_args(&self, _given: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), self.list.data_type(), self.list.is_null());
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let made = self.values as f64 * given.number_rows as f64;
        within("unnest", made, VALUES_MAX, "values")?;
        Ok(ColumnarValue::Scalar(self.list.clone()))
    }
}
