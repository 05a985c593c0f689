//! What functions of lists answer where a list, or an element of one, is NULL.
//!
//! Of `array_has_all` and `array_has_any` DataFusion answers true or false, not NULL, where no list of
//! the rows at hand has an element: one row has another answer by itself than among others, so that a
//! live view could not take it back. `array_has`, as which `= ANY(list)` is planned, does not mind that
//! NULL among the elements may be what is looked for, and `array_length` of a list without elements is
//! 0 where Postgres has no length.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, GenericListArray, OffsetSizeTrait, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, UInt64Type};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF};
use datafusion::scalar::ScalarValue;

use super::call_rows::CallRows;
use super::otherwise::{Computation, is_computed_by, otherwise};

/// What a function says of NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    /// NULL if one of the lists is.
    Strict,
    /// Whether something is among the elements, as a comparison with each of them says.
    Membership,
    /// How many elements there are, NULL if there are none.
    Length,
}

/// The functions that are concerned; `@>` and `<@` are planned as the first.
const CONCERNED: [(&str, Answer); 4] = [
    ("array_has_all", Answer::Strict),
    ("array_has_any", Answer::Strict),
    ("array_has", Answer::Membership),
    ("array_length", Answer::Length),
];

/// Has them answer as they should.
#[derive(Debug)]
pub struct NullLists;

impl FunctionRewrite for NullLists {
    fn name(&self) -> &str {
        "null_lists"
    }

    fn rewrite(
        &self,
        expression: Expr,
        _schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(mut call) = expression else {
            return Ok(Transformed::no(expression));
        };
        let answer = answer_of(&call.func);
        if let Some(answer) = answer {
            call.func = otherwise(call.func, answer);
        }
        let call = Expr::ScalarFunction(call);
        Ok(Transformed::new_transformed(call, answer.is_some()))
    }
}

/// What a function should answer; `None`: it is none of those, or does so already.
fn answer_of(function: &ScalarUDF) -> Option<Answer> {
    if is_computed_by::<Answer>(function) {
        return None;
    }
    let found = CONCERNED.iter().find(|(name, _)| *name == function.name());
    found.map(|(_, answer)| *answer)
}

impl Computation for Answer {
    fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self {
            Answer::Strict => of_lists(function, given),
            Answer::Membership => of_elements(function, given),
            Answer::Length => of_lengths(function, given),
        }
    }

    /// A list without elements has none that is NULL.
    fn is_strict(&self, _function: &ScalarUDF) -> bool {
        *self == Answer::Strict
    }

    /// Constant lists become `IN`, which minds NULL.
    fn simplify(
        &self,
        function: &ScalarUDF,
        given: Vec<Expr>,
        context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        match self {
            Answer::Membership => function.simplify(given, context),
            Answer::Strict | Answer::Length => Ok(ExprSimplifyResult::Original(given)),
        }
    }
}

/// NULL where an argument is.
fn of_lists(function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = given.number_rows;
    let is_null = |argument: &ColumnarValue| match argument {
        ColumnarValue::Scalar(value) => value.is_null(),
        ColumnarValue::Array(_) => false,
    };
    if given.args.iter().any(is_null) {
        return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
    }
    let nulls = given.args.iter().filter_map(|argument| match argument {
        ColumnarValue::Scalar(_) => None,
        ColumnarValue::Array(lists) => lists.logical_nulls(),
    });
    let nulls = nulls.reduce(|left, right| {
        let both = NullBuffer::union(Some(&left), Some(&right));
        both.unwrap_or(left)
    });
    let answers = function.invoke_with_args(given)?;
    let Some(nulls) = nulls else {
        return Ok(answers);
    };
    let answers = answers.into_array(rows)?;
    let answers = answers.as_boolean();
    let nulls = NullBuffer::union(Some(&nulls), answers.nulls());
    let answers = BooleanArray::new(answers.values().clone(), nulls);
    Ok(ColumnarValue::Array(Arc::new(answers)))
}

/// NULL where what is looked for may be an element that is NULL, or is NULL itself.
fn of_elements(function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let [lists, wanted] = &given.args[..] else {
        return function.invoke_with_args(given);
    };
    let Some(contents) = contents_of(lists)? else {
        return function.invoke_with_args(given);
    };
    let wanted = wanted.clone();
    let rows = CallRows::of(&given);
    let of_all_rows = matches!(lists, ColumnarValue::Scalar(_));
    let absent = match &wanted {
        ColumnarValue::Array(wanted) => wanted.logical_nulls(),
        ColumnarValue::Scalar(_) => None,
    };
    let is_absent = |row: usize| match &wanted {
        ColumnarValue::Array(_) => absent.as_ref().is_some_and(|absent| absent.is_null(row)),
        ColumnarValue::Scalar(wanted) => wanted.is_null(),
    };
    let answers = function.invoke_with_args(given)?.into_array(rows.count)?;
    let answers = answers.as_boolean();
    let answers: BooleanArray = (0..rows.count)
        .map(|row| match contents[if of_all_rows { 0 } else { row }] {
            Contents::Unknown => None,
            Contents::Nothing => Some(false),
            _ if is_absent(row) => None,
            contents => {
                let is_found = answers.is_valid(row) && answers.value(row);
                (is_found || contents == Contents::Known).then_some(is_found)
            }
        })
        .collect();
    rows.answer(Arc::new(answers))
}

/// NULL where there are no elements.
fn of_lengths(function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
    Ok(match function.invoke_with_args(given)? {
        ColumnarValue::Scalar(ScalarValue::UInt64(length)) => {
            let length = length.filter(|length| *length > 0);
            ColumnarValue::Scalar(ScalarValue::UInt64(length))
        }
        ColumnarValue::Scalar(other) => ColumnarValue::Scalar(other),
        ColumnarValue::Array(lengths) => {
            let lengths = lengths.as_primitive::<UInt64Type>().iter();
            let lengths = lengths.map(|length| length.filter(|length| *length > 0));
            ColumnarValue::Array(Arc::new(lengths.collect::<UInt64Array>()))
        }
    })
}

/// What there is in a list, as far as it says something of NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    /// The list is NULL.
    Unknown,
    /// It has no elements.
    Nothing,
    /// It has elements, none of which is NULL.
    Known,
    /// It has elements, some of which are NULL.
    WithNull,
}

/// What there is in each list, once for a constant; `None`: they are not lists.
fn contents_of(lists: &ColumnarValue) -> Result<Option<Vec<Contents>>> {
    let lists = match lists {
        ColumnarValue::Array(lists) => Arc::clone(lists),
        ColumnarValue::Scalar(list) => list.to_array()?,
    };
    Ok(match lists.data_type() {
        DataType::List(_) => Some(contents(lists.as_list::<i32>())),
        DataType::LargeList(_) => Some(contents(lists.as_list::<i64>())),
        _ => None,
    })
}

fn contents<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Vec<Contents> {
    let nulls = lists.values().logical_nulls();
    let offsets = lists.value_offsets();
    let contents = (0..lists.len()).map(|row| {
        let (start, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        let are_among = |nulls: &NullBuffer| nulls.slice(start, end - start).null_count() > 0;
        match &nulls {
            _ if lists.is_null(row) => Contents::Unknown,
            _ if start == end => Contents::Nothing,
            Some(nulls) if are_among(nulls) => Contents::WithNull,
            _ => Contents::Known,
        }
    });
    contents.collect()
}
