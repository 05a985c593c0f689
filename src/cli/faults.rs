//! Functions that builds for tests know, so that the program can be seen to come to grief.

use crate::sql::Functions;

/// None, unless this is a build for tests and a variable asks for them: `fault(n)` is `n`, and
/// panics at 13 as a fault in an operator would.
pub fn functions() -> Functions {
    #[cfg(debug_assertions)]
    if std::env::var_os("MAINSTEM_FAULTS").is_some() {
        return Functions::new().with_scalar(fault()).unwrap_or_default();
    }
    Functions::new()
}

#[cfg(debug_assertions)]
fn fault() -> datafusion::logical_expr::ScalarUDF {
    use std::sync::Arc;

    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Int64Type};
    use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};

    let evaluate = |arguments: &[ColumnarValue]| {
        let numbers = arguments[0].to_array(1)?;
        let is_fatal = numbers
            .as_primitive::<Int64Type>()
            .iter()
            .any(|number| number == Some(13));
        assert!(!is_fatal, "a fault that a test has asked for");
        Ok(ColumnarValue::Array(numbers))
    };
    let (takes, gives) = (vec![DataType::Int64], DataType::Int64);
    create_udf(
        "fault",
        takes,
        gives,
        Volatility::Immutable,
        Arc::new(evaluate),
    )
}
