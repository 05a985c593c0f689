//! The window function behind ASOF joins: the value of the newest row of the right side.

use std::sync::LazyLock;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::FieldRef;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    Expr, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};

use super::type_of_first;

/// The function's name.
pub const LATEST: &str = "latest";

/// The value in the last row, up to and with each row, that is not one of the left side.
pub fn latest(value: Expr, is_left: Expr) -> Expr {
    static FUNCTION: LazyLock<WindowUDF> = LazyLock::new(|| {
        WindowUDF::new_from_impl(Latest {
            signature: Signature::any(2, Volatility::Immutable),
        })
    });
    FUNCTION.call(vec![value, is_left])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Latest {
    signature: Signature,
}

impl WindowUDFImpl for Latest {
    fn name(&self) -> &str {
        LATEST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(
        &self,
        _arguments: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(LatestEvaluator))
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        type_of_first(&arguments)
    }
}

#[derive(Debug)]
struct LatestEvaluator;

impl PartitionEvaluator for LatestEvaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let [values, sides] = values else {
            return internal_err!("{LATEST} is of a value and a side");
        };
        let sides = sides.as_boolean();
        let mut newest = None;
        let newest = (0..rows).map(|row| {
            let is_left = sides.is_null(row) || sides.value(row);
            if !is_left {
                newest = Some(row as u32);
            }
            newest
        });
        Ok(take(values, &newest.collect::<UInt32Array>(), None)?)
    }
}
