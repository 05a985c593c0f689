//! One zero: −0.0 and 0.0 are equal in SQL, so keys of groups and joins are made of 0.0.
//!
//! DataFusion does the same where it groups and joins; its own function is used, so that a view
//! shows the zero that the same SQL shows.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::utils::normalize_float_zero;
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Join, LogicalPlan, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::ScalarFunctionExpr;

use super::super::plan::Expression;

static ONE_ZERO: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(OneZero {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// A value with 0.0 in the place of −0.0.
pub(super) fn one_zero(value: Expression, schema: &Schema) -> Result<Expression> {
    if !value.data_type(schema)?.is_floating() {
        return Ok(value);
    }
    let options = Arc::new(ConfigOptions::default());
    let call = ScalarFunctionExpr::try_new(Arc::clone(&ONE_ZERO), vec![value], schema, options)?;
    Ok(Arc::new(call))
}

/// A plan whose joins are on keys with one zero.
pub fn in_joins(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up(|node| match node {
        LogicalPlan::Join(join) => in_join(join),
        node => Ok(Transformed::no(node)),
    });
    rewritten.data()
}

fn in_join(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut is_changed = false;
    let mut key = |key: &mut Expr, schema: &DFSchema| -> Result<()> {
        if key.get_type(schema)?.is_floating() {
            *key = ONE_ZERO.call(vec![std::mem::take(key)]);
            is_changed = true;
        }
        Ok(())
    };
    for (left, right) in &mut join.on {
        key(left, join.left.schema())?;
        key(right, join.right.schema())?;
    }
    let join = LogicalPlan::Join(join);
    Ok(match is_changed {
        true => Transformed::yes(join),
        false => Transformed::no(join),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneZero {
    signature: Signature,
}

impl ScalarUDFImpl for OneZero {
    fn name(&self) -> &str {
        "one_zero"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [value] => Ok(value.clone()),
            _ => plan_err!("one value has one zero"),
        }
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = given.number_rows;
        match given.args.first() {
            Some(value) => Ok(ColumnarValue::Array(normalize_float_zero(
                &value.to_array(rows)?,
            ))),
            None => plan_err!("one value has one zero"),
        }
    }
}
