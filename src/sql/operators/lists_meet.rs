//! `&&`, `@>` and `<@`: whether two lists have an element in common, or one all elements of the other,
//! as in Postgres, where NULL is equal to none.
//!
//! DataFusion does not know the first, and to its functions for all three NULL equals NULL.
//! Nor does it know beside them that a parameter is a list.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use arrow::row::{Row, RowConverter, Rows, SortField};
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::parameters::in_type;
use crate::sql::functions::call_column::operator_name;
use crate::sql::functions::call_rows::CallRows;

/// Puts the function in the place of the operators.
#[derive(Debug)]
pub struct ListsMeeting;

impl ExprPlanner for ListsMeeting {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let asked = match expression.op {
            BinaryOperator::PGOverlap => Asked::Meet,
            BinaryOperator::AtArrow => Asked::Holds,
            BinaryOperator::ArrowAt => Asked::IsHeld,
            _ => return Ok(PlannerResult::Original(expression)),
        };
        let expression = with_lists(expression, schema);
        let is_list = |side: &Expr| list_type(side, schema).is_some();
        if !is_list(&expression.left) && !is_list(&expression.right) {
            return Ok(PlannerResult::Original(expression));
        }
        let function = ListsMeet {
            asked,
            signature: Signature::user_defined(Volatility::Immutable),
        };
        let function = Arc::new(ScalarUDF::new_from_impl(function));
        let lists = vec![expression.left, expression.right];
        let call = ScalarFunction::new_udf(function, lists);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// A parameter beside a list is one of the same type.
fn with_lists(expression: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    let RawBinaryExpr { op, left, right } = expression;
    let (left, right) = match (list_type(&left, schema), list_type(&right, schema)) {
        (Some(list), None) => (left, in_type(right, &list)),
        (None, Some(list)) => (in_type(left, &list), right),
        _ => (left, right),
    };
    RawBinaryExpr { op, left, right }
}

fn list_type(side: &Expr, schema: &DFSchema) -> Option<DataType> {
    let found = side.get_type(schema).ok();
    found.filter(|found| matches!(found, DataType::List(_)))
}

/// What is asked of two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    /// Whether they have an element in common.
    Meet,
    /// Whether the first has all elements of the second.
    Holds,
    /// Whether the second has all elements of the first.
    IsHeld,
}

/// NULL if one of the lists is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ListsMeet {
    asked: Asked,
    signature: Signature,
}

impl ScalarUDFImpl for ListsMeet {
    fn name(&self) -> &str {
        match self.asked {
            Asked::Meet => "&&",
            Asked::Holds => "@>",
            Asked::IsHeld => "<@",
        }
    }

    /// As the operator would call its column.
    fn schema_name(&self, lists: &[Expr]) -> Result<String> {
        Ok(operator_name(lists, self.name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let common = match given {
            [DataType::List(left), DataType::List(right)] => {
                comparison_coercion(left.data_type(), right.data_type())
            }
            [DataType::List(list), DataType::Null] | [DataType::Null, DataType::List(list)] => {
                Some(list.data_type().clone())
            }
            _ => None,
        };
        match common {
            Some(common) => {
                let list = DataType::List(Arc::new(Field::new_list_field(common, true)));
                Ok(vec![list.clone(), list])
            }
            None => plan_err!("{} takes two lists of one type", self.name()),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = &given.args[..] else {
            return plan_err!("{} takes two lists", self.name());
        };
        let rows = CallRows::of(&given);
        let left = left.to_array(rows.count)?;
        let right = cast(&right.to_array(rows.count)?, left.data_type())?;
        let found = self
            .asked
            .of(left.as_list::<i32>(), right.as_list::<i32>())?;
        rows.answer(Arc::new(found))
    }
}

impl Asked {
    /// The answer row by row.
    fn of(self, left: &ListArray, right: &ListArray) -> Result<BooleanArray> {
        match self {
            Asked::Meet => found(left, right, false),
            Asked::Holds => found(right, left, true),
            Asked::IsHeld => found(left, right, true),
        }
    }
}

/// Row by row whether one of the elements of a list is in another, or all are.
fn found(list: &ListArray, other: &ListArray, asks_for_all: bool) -> Result<BooleanArray> {
    let converter = RowConverter::new(vec![SortField::new(list.value_type())])?;
    let of_list = converter.convert_columns(&[Arc::clone(list.values())])?;
    let of_other = converter.convert_columns(&[Arc::clone(other.values())])?;
    let found = (0..list.len()).map(|row| {
        if list.is_null(row) || other.is_null(row) {
            return None;
        }
        let known: HashSet<Row<'_>> = elements(other, &of_other, row).flatten().collect();
        let mut asked = elements(list, &of_list, row);
        Some(match asks_for_all {
            true => asked.all(|element| element.is_some_and(|element| known.contains(&element))),
            false => asked.any(|element| element.is_some_and(|element| known.contains(&element))),
        })
    });
    Ok(found.collect())
}

/// The elements of one list, of which `None` is NULL.
fn elements<'r>(
    lists: &'r ListArray,
    rows: &'r Rows,
    list: usize,
) -> impl Iterator<Item = Option<Row<'r>>> {
    let offsets = lists.value_offsets();
    let places = offsets[list] as usize..offsets[list + 1] as usize;
    places.map(move |place| lists.values().is_valid(place).then(|| rows.row(place)))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn null_is_an_element_of_no_list() {
        let list = |elements: &[Option<i32>]| Some(elements.to_vec());
        let left = [
            list(&[Some(1), Some(2)]),
            list(&[Some(1), None]),
            list(&[]),
            None,
        ];
        let right = [
            list(&[Some(2), Some(3)]),
            list(&[Some(2), None]),
            list(&[Some(1)]),
            list(&[Some(1)]),
        ];
        let left = ListArray::from_iter_primitive::<Int32Type, _, _>(left);
        let right = ListArray::from_iter_primitive::<Int32Type, _, _>(right);
        let of = |asked: Asked, left, right| -> Vec<Option<bool>> {
            asked.of(left, right).expect("lists").iter().collect()
        };
        assert_eq!(
            of(Asked::Meet, &left, &right),
            [Some(true), Some(false), Some(false), None]
        );
        assert_eq!(
            of(Asked::Holds, &left, &left),
            [Some(true), Some(false), Some(true), None]
        );
        assert_eq!(
            of(Asked::IsHeld, &left, &right),
            [Some(false), Some(false), Some(true), None]
        );
    }
}
