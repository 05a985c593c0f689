//! Functions that are computed otherwise than those in whose place they stand, or take other types.
//!
//! All that a plan knows of such a function is what it knew of the other: its names, what it takes,
//! and the types of what it gives. What a plan is told beyond that, [`Computation`] says.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

/// How a function is computed; `function` is the one in whose place it stands. Two that are not equal
/// make functions that are not.
pub trait Computation: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// Whether [`coerce_types`](Self::coerce_types) says what a call takes, not the other's signature.
    const HAS_OWN_TYPES: bool = false;

    /// What a call gives.
    fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue>;

    /// The types that a call takes in the place of those that are given.
    fn coerce_types(&self, function: &ScalarUDF, given: &[DataType]) -> Result<Vec<DataType>> {
        function.coerce_types(given)
    }

    /// Whether a call is NULL where an argument is.
    fn is_strict(&self, function: &ScalarUDF) -> bool {
        function.is_strict()
    }

    /// What a call is when it is planned: itself, as what the other would make of it may not be
    /// computed so.
    fn simplify(
        &self,
        _function: &ScalarUDF,
        given: Vec<Expr>,
        _context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Original(given))
    }

    /// Whether what rows in order give is in order.
    fn output_ordering(
        &self,
        _function: &ScalarUDF,
        _given: &[ExprProperties],
    ) -> Result<SortProperties> {
        Ok(SortProperties::Unordered)
    }
}

/// A function that is computed so.
pub fn otherwise(function: Arc<ScalarUDF>, computation: impl Computation) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Otherwise::new(
        function,
        computation,
    )))
}

/// The types that a function takes in the place of those that are given, whatever its signature is.
pub fn taken_types(
    function: &ScalarUDF,
    given: impl IntoIterator<Item = DataType>,
) -> Result<Vec<DataType>> {
    let given = given.into_iter();
    let fields = given.map(|found| -> FieldRef { Arc::new(Field::new("value", found, true)) });
    let taken = fields_with_udf(&fields.collect::<Vec<FieldRef>>(), function)?;
    Ok(taken
        .iter()
        .map(|field| field.data_type().clone())
        .collect())
}

/// Whether a function is computed so. One that stands in its place once more is another.
pub fn is_computed_by<C: Computation>(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<Otherwise<C>>().is_some()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Otherwise<C> {
    /// The one in whose place it stands.
    function: Arc<ScalarUDF>,
    signature: Signature,
    computation: C,
}

impl<C: Computation> Otherwise<C> {
    fn new(function: Arc<ScalarUDF>, computation: C) -> Otherwise<C> {
        let others = function.signature();
        let signature = match C::HAS_OWN_TYPES {
            true => Signature::user_defined(others.volatility),
            false => others.clone(),
        };
        Otherwise {
            function,
            signature,
            computation,
        }
    }
}

impl<C: Computation> ScalarUDFImpl for Otherwise<C> {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, given: &[Expr]) -> Result<String> {
        self.function.schema_name(given)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.computation.coerce_types(&self.function, given)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = self.function.inner().with_updated_config(config)?;
        let otherwise = Otherwise::new(Arc::new(function), self.computation.clone());
        Some(ScalarUDF::new_from_impl(otherwise))
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(given)
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(given)
    }

    fn is_strict(&self) -> bool {
        self.computation.is_strict(&self.function)
    }

    fn simplify(&self, given: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.computation.simplify(&self.function, given, context)
    }

    fn placement(&self, given: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.function.placement(given)
    }

    fn output_ordering(&self, given: &[ExprProperties]) -> Result<SortProperties> {
        self.computation.output_ordering(&self.function, given)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.computation.invoke(&self.function, given)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use datafusion::functions::math;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Plain;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Numbered(usize);

    impl Computation for Plain {
        fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
            function.invoke_with_args(given)
        }
    }

    impl Computation for Numbered {
        fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
            function.invoke_with_args(given)
        }
    }

    #[test]
    fn functions_are_equal_where_they_are_computed_alike() {
        let functions = [
            math::ln(),
            otherwise(math::ln(), Plain),
            otherwise(math::exp(), Plain),
            otherwise(math::ln(), Numbered(1)),
            otherwise(math::ln(), Numbered(2)),
            otherwise(otherwise(math::ln(), Plain), Numbered(1)),
        ];
        for (place, one) in functions.iter().enumerate() {
            for (other_place, other) in functions.iter().enumerate() {
                assert_eq!(one == other, place == other_place);
            }
        }
        let again = otherwise(math::ln(), Numbered(1));
        assert_eq!(functions[3], again);
        let hasher = RandomState::new();
        assert_eq!(hasher.hash_one(&functions[3]), hasher.hash_one(&again));
        assert!(is_computed_by::<Plain>(&functions[1]));
        assert!(!is_computed_by::<Plain>(&functions[5]));
    }
}
