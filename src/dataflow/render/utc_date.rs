//! The date of a moment in UTC, which is a division; the cast goes through the calendar and the
//! rules of the zone for every row.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, PrimitiveArray, RecordBatch};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Schema, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::CastExpr;

use crate::sql::plan::Expression;

/// Seconds of a day; days of UTC all have as many.
const DAY: i64 = 86_400;

/// Days from the epoch within which every day is in the calendar, and a few more are.
const DAYS_MAX: i64 = 90_000_000;

/// An expression in which the date of a moment in UTC is computed by division, and equal to the
/// one given, whose columns are those of `schema`.
pub fn with_utc_dates(expression: &Expression, schema: &Schema) -> Expression {
    let replaced = Arc::clone(expression).transform_up(|part| {
        let Some(cast) = part.downcast_ref::<CastExpr>() else {
            return Ok(Transformed::no(part));
        };
        let is_utc_date =
            *cast.cast_type() == DataType::Date32 && is_in_utc(&cast.expr().data_type(schema)?);
        if !is_utc_date {
            return Ok(Transformed::no(part));
        }
        let moment = Arc::clone(cast.expr());
        Ok(Transformed::yes(
            Arc::new(UtcDate { moment, cast: part }) as Expression
        ))
    });
    replaced.map_or_else(|_| Arc::clone(expression), |replaced| replaced.data)
}

fn is_in_utc(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, Some(zone)) => matches!(zone.as_ref(), "UTC" | "+00:00"),
        _ => false,
    }
}

/// The date of a moment in UTC.
#[derive(Debug, Eq)]
struct UtcDate {
    moment: Expression,
    /// The same as a cast, for moments that are not in the calendar.
    cast: Expression,
}

// Derived equality would move out of the trait object.
impl PartialEq for UtcDate {
    fn eq(&self, other: &UtcDate) -> bool {
        self.cast.as_ref() == other.cast.as_ref()
    }
}

impl std::hash::Hash for UtcDate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.cast.hash(state);
    }
}

impl Display for UtcDate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.cast.fmt(f)
    }
}

impl PhysicalExpr for UtcDate {
    fn data_type(&self, _input_schema: &Schema) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn nullable(&self, input_schema: &Schema) -> Result<bool> {
        self.cast.nullable(input_schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if let ColumnarValue::Array(moments) = self.moment.evaluate(batch)?
            && let Some(dates) = utc_dates(&moments)
        {
            return Ok(ColumnarValue::Array(dates));
        }
        self.cast.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.cast]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        // Whatever the new cast is of, it is right by itself.
        Ok(children.into_iter().next().unwrap_or(self))
    }

    fn fmt_sql(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.cast.fmt_sql(f)
    }
}

/// The dates of moments; `None` if some of them may not be in the calendar.
fn utc_dates(moments: &ArrayRef) -> Option<ArrayRef> {
    let DataType::Timestamp(unit, _) = moments.data_type() else {
        return None;
    };
    match unit {
        TimeUnit::Second => dates(moments.as_primitive::<TimestampSecondType>(), 1),
        TimeUnit::Millisecond => dates(moments.as_primitive::<TimestampMillisecondType>(), 1_000),
        TimeUnit::Microsecond => dates(
            moments.as_primitive::<TimestampMicrosecondType>(),
            1_000_000,
        ),
        TimeUnit::Nanosecond => dates(
            moments.as_primitive::<TimestampNanosecondType>(),
            1_000_000_000,
        ),
    }
}

fn dates<T: ArrowTimestampType>(
    moments: &PrimitiveArray<T>,
    parts_of_second: i64,
) -> Option<ArrayRef> {
    let day = DAY * parts_of_second;
    let days = |moment: &i64| moment.div_euclid(day);
    // What stands behind a NULL is any number.
    let are_in_calendar = (0..moments.len())
        .all(|row| moments.is_null(row) || days(&moments.value(row)).abs() <= DAYS_MAX);
    if !are_in_calendar {
        return None;
    }
    let dates = moments.values().iter().map(|moment| days(moment) as i32);
    Some(Arc::new(Date32Array::new(
        dates.collect(),
        moments.nulls().cloned(),
    )))
}

#[cfg(test)]
mod tests {
    use arrow::array::{TimestampMicrosecondArray, TimestampSecondArray};
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::Column;

    use super::*;

    fn evaluated(moments: ArrayRef) -> (Result<ArrayRef>, Result<ArrayRef>) {
        let field = Field::new("moment", moments.data_type().clone(), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let column: Expression = Arc::new(Column::new("moment", 0));
        let plain: Expression = Arc::new(CastExpr::new(column, DataType::Date32, None));
        let fast = with_utc_dates(&plain, &schema);
        assert!(fast.downcast_ref::<UtcDate>().is_some());
        assert_eq!(fast.to_string(), plain.to_string());
        let batch = RecordBatch::try_new(schema, vec![moments]).expect("a batch");
        let of =
            |expression: &Expression| expression.evaluate(&batch)?.into_array(batch.num_rows());
        (of(&fast), of(&plain))
    }

    #[test]
    fn dates_are_those_of_the_cast_before_and_after_the_epoch() {
        let day = DAY * 1_000_000;
        let mut moments = vec![None];
        for days in [
            -800_000i64,
            -25_567,
            -2,
            -1,
            0,
            1,
            2,
            11_016,
            20_000,
            2_900_000,
        ] {
            for off in [-1, 0, 1, day / 2, day - 1] {
                moments.push(Some(days * day + off));
            }
        }
        let moments = TimestampMicrosecondArray::from(moments);
        for zone in ["UTC", "+00:00"] {
            let (fast, plain) = evaluated(Arc::new(moments.clone().with_timezone(zone)));
            assert_eq!(&fast.expect("dates"), &plain.expect("dates"));
        }
    }

    #[test]
    fn moments_outside_of_the_calendar_fail_as_the_cast_does() {
        for moment in [i64::MAX, i64::MIN] {
            let moments = TimestampSecondArray::from(vec![0, moment]).with_timezone("UTC");
            let (fast, plain) = evaluated(Arc::new(moments));
            let text = |result: Result<ArrayRef>| result.expect_err("no date").to_string();
            assert_eq!(text(fast), text(plain));
        }
    }

    #[test]
    fn a_date_elsewhere_stays_a_cast() {
        let moments = TimestampMicrosecondArray::from(vec![0]).with_timezone("Europe/Berlin");
        let moments: ArrayRef = Arc::new(moments);
        let schema = Schema::new(vec![Field::new("m", moments.data_type().clone(), true)]);
        let column: Expression = Arc::new(Column::new("m", 0));
        let plain: Expression = Arc::new(CastExpr::new(column, DataType::Date32, None));
        assert!(
            with_utc_dates(&plain, &schema)
                .downcast_ref::<CastExpr>()
                .is_some()
        );
    }
}
