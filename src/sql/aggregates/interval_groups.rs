//! Groups of intervals: those of one length are one, as in GROUP BY, DISTINCT and UNION of Postgres.
//!
//! DataFusion tells `1 day` from `24 hours`. So rows are grouped by lengths, and each group shows one
//! of the forms in which its length is written: that of the most months, then the most days. It does
//! not depend on the order in which rows come.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::max_udaf;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Projection, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::sql::functions::call_rows::CallRows;
use crate::sql::operators::interval_length::{LENGTH, length, length_of};
use crate::sql::types::INTERVAL;

/// Turns the order of signed days into that of unsigned ones.
const SIGN: u32 = 1 << 31;

/// Rows that differ, as groups of all their columns, where some are intervals.
pub fn of_rows(input: Arc<LogicalPlan>) -> Result<Option<LogicalPlan>> {
    let columns: Vec<Expr> = input
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    if !columns
        .iter()
        .any(|column| is_interval(column, input.schema()))
    {
        return Ok(None);
    }
    let groups = Aggregate::try_new(input, columns, Vec::new())?;
    by_length(groups).map(Some)
}

/// Groups by the lengths of those keys that are intervals. Grouping sets stay as they are.
pub fn of_groups(groups: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let is_concerned = groups
        .group_expr
        .iter()
        .any(|key| !matches!(key, Expr::GroupingSet(_)) && is_interval(key, groups.input.schema()));
    Ok(match is_concerned {
        true => Transformed::yes(by_length(groups)?),
        false => Transformed::no(LogicalPlan::Aggregate(groups)),
    })
}

fn by_length(groups: Aggregate) -> Result<LogicalPlan> {
    let Aggregate {
        input,
        group_expr,
        aggr_expr,
        schema,
        ..
    } = groups;
    let mut keys = Vec::with_capacity(group_expr.len());
    let mut forms = Vec::new();
    // Of each key that is an interval, which of the forms is its.
    let mut form_of_key = Vec::with_capacity(group_expr.len());
    for key in group_expr {
        if is_interval(&key, input.schema()) {
            let key = key.unalias();
            form_of_key.push(Some(forms.len()));
            forms.push(max_udaf().call(vec![called(Part::Form, vec![key.clone()])]));
            keys.push(length_of(key));
        } else {
            form_of_key.push(None);
            keys.push(key);
        }
    }
    let first_form = keys.len() + aggr_expr.len();
    let aggregates = aggr_expr.into_iter().chain(forms).collect();
    let grouped = Aggregate::try_new(input, keys, aggregates)?;
    let column = |position| Expr::Column(Column::from(grouped.schema.qualified_field(position)));
    let columns = schema
        .iter()
        .enumerate()
        .map(
            |(position, (relation, field))| match form_of_key.get(position).copied().flatten() {
                Some(form) => {
                    let written = vec![column(position), column(first_form + form)];
                    called(Part::Whole, written).alias_qualified(relation.cloned(), field.name())
                }
                None => column(position),
            },
        );
    let columns: Vec<Expr> = columns.collect();
    let grouped = Arc::new(LogicalPlan::Aggregate(grouped));
    Ok(LogicalPlan::Projection(Projection::try_new(
        columns, grouped,
    )?))
}

/// An interval as two numbers: its length, and the form in which it is written.
pub fn parts_of(interval: Expr) -> [Expr; 2] {
    let form = called(Part::Form, vec![interval.clone()]);
    [length_of(interval), form]
}

/// The interval that has these parts.
pub fn of_parts(parts: [Expr; 2]) -> Expr {
    called(Part::Whole, parts.to_vec())
}

fn is_interval(value: &Expr, schema: &DFSchema) -> bool {
    let found = value.get_type(schema);
    found.is_ok_and(|found| matches!(found, DataType::Interval(_)))
}

fn called(part: Part, arguments: Vec<Expr>) -> Expr {
    let function = FormOfInterval {
        part,
        signature: Signature::user_defined(Volatility::Immutable),
    };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    /// Months and days of an interval, as a number that orders intervals of one length.
    Form,
    /// The interval of a length that is written so.
    Whole,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FormOfInterval {
    part: Part,
    signature: Signature,
}

impl ScalarUDFImpl for FormOfInterval {
    fn name(&self) -> &str {
        match self.part {
            Part::Form => "interval_form",
            Part::Whole => "interval_of_length",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match (self.part, given) {
            (Part::Form, [_]) => Ok(vec![INTERVAL]),
            (Part::Whole, [_, _]) => Ok(vec![LENGTH, DataType::Int64]),
            _ => plan_err!("{}() is for groups of intervals only", self.name()),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(match self.part {
            Part::Form => DataType::Int64,
            Part::Whole => INTERVAL,
        })
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = CallRows::of(&given);
        let arguments = given.args.iter().map(|value| value.to_array(rows.count));
        let arguments = arguments.collect::<Result<Vec<ArrayRef>>>()?;
        let found: ArrayRef = match &arguments[..] {
            [intervals] => Arc::new(forms_of(intervals)?),
            [lengths, forms] => Arc::new(intervals_of(lengths, forms)?),
            _ => return exec_err!("{}() is for groups of intervals only", self.name()),
        };
        rows.answer(found)
    }
}

fn forms_of(intervals: &ArrayRef) -> Result<Int64Array> {
    let intervals = cast(intervals, &INTERVAL)?;
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    Ok(intervals.iter().map(|found| found.map(form)).collect())
}

fn form(interval: IntervalMonthDayNano) -> i64 {
    let days = interval.days as u32 ^ SIGN;
    (i64::from(interval.months) << 32) | i64::from(days)
}

fn intervals_of(lengths: &ArrayRef, forms: &ArrayRef) -> Result<IntervalMonthDayNanoArray> {
    // Of no rows they may have become NULL without a type.
    let (lengths, forms) = (cast(lengths, &LENGTH)?, cast(forms, &DataType::Int64)?);
    let lengths = lengths.as_primitive::<Decimal128Type>().iter();
    let pairs = lengths.zip(forms.as_primitive::<Int64Type>());
    let found = pairs.map(|(length, form)| interval(length?, form?));
    Ok(found.collect())
}

/// `None`: the parts are those of several intervals, as those of rows that nobody may ask for.
fn interval(whole: i128, form: i64) -> Option<IntervalMonthDayNano> {
    // The halves of the number are months and days.
    let (months, days) = ((form >> 32) as i32, (form as u32 ^ SIGN) as i32);
    let rest = whole - length(IntervalMonthDayNano::new(months, days, 0));
    let rest = i64::try_from(rest).ok()?;
    Some(IntervalMonthDayNano::new(months, days, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_its_length_and_its_form() {
        let interval_of = IntervalMonthDayNano::new;
        let hour = 3_600_000_000_000;
        for written in [
            interval_of(0, 0, 0),
            interval_of(1, -30, 24 * hour),
            interval_of(-1, 29, -hour),
            interval_of(i32::MIN, i32::MIN, i64::MIN),
            interval_of(i32::MAX, i32::MAX, i64::MAX),
        ] {
            let read = interval(length(written), form(written)).expect("an interval");
            assert_eq!(read, written);
        }
    }

    #[test]
    fn months_count_more_than_days() {
        let form = |months, days| form(IntervalMonthDayNano::new(months, days, 0));
        assert!(form(1, i32::MIN) > form(0, i32::MAX));
        assert!(form(0, 1) > form(0, 0));
        assert!(form(0, 0) > form(0, -1));
        assert!(form(-1, 0) < form(0, -1));
    }
}
