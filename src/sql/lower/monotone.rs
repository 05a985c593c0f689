//! Which way an expression moves as time passes.

use arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Literal, NegativeExpr};
use datafusion::scalar::ScalarValue;

use super::super::plan::Expression;
use super::super::plan::temporal::{Now, reads_clock};

/// How the value of an expression moves, for any fixed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    /// It does not depend on time.
    Still,
    /// It never goes back.
    Forward,
    /// It never goes forward.
    Backward,
}

impl Trend {
    fn reversed(self) -> Trend {
        match self {
            Trend::Still => Trend::Still,
            Trend::Forward => Trend::Backward,
            Trend::Backward => Trend::Forward,
        }
    }

    /// The trend of a sum.
    fn plus(self, other: Trend) -> Option<Trend> {
        match (self, other) {
            (trend, Trend::Still) | (Trend::Still, trend) => Some(trend),
            (left, right) if left == right => Some(left),
            _ => None,
        }
    }
}

/// The trend of an expression over rows of a schema; `None` if it is not known to have one.
pub fn trend(expression: &Expression, schema: &Schema) -> Option<Trend> {
    if !reads_clock(expression) {
        return Some(Trend::Still);
    }
    if expression.downcast_ref::<Now>().is_some() {
        return Some(Trend::Forward);
    }
    if let Some(cast) = expression.downcast_ref::<CastExpr>() {
        let from = cast.expr().data_type(schema).ok()?;
        return match keeps_order(&from, cast.cast_type()) {
            true => trend(cast.expr(), schema),
            false => None,
        };
    }
    if let Some(negative) = expression.downcast_ref::<NegativeExpr>() {
        return Some(trend(negative.arg(), schema)?.reversed());
    }
    if let Some(binary) = expression.downcast_ref::<BinaryExpr>() {
        return sum(binary, schema);
    }
    let call = expression.downcast_ref::<ScalarFunctionExpr>()?;
    function(call, schema)
}

/// Whether a cast maps later moments to values that are not smaller. The wall clock of a zone with
/// summer time goes back once a year, so only UTC does.
fn keeps_order(from: &DataType, to: &DataType) -> bool {
    let is_utc = |zone: &Option<std::sync::Arc<str>>| {
        zone.as_deref()
            .is_none_or(|zone| zone == "UTC" || zone == "+00:00")
    };
    match (from, to) {
        (DataType::Timestamp(..), DataType::Timestamp(_, Some(_))) => true,
        (DataType::Timestamp(_, zone), to) => {
            is_utc(zone) && (to.is_temporal() || to.is_integer()) && !is_time_of_day(to)
        }
        (DataType::Date32 | DataType::Date64, to) => {
            matches!(
                to,
                DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
            )
        }
        (from, to) => from.is_numeric() && to.is_numeric(),
    }
}

fn is_time_of_day(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
}

fn sum(binary: &BinaryExpr, schema: &Schema) -> Option<Trend> {
    let left = trend(binary.left(), schema)?;
    let right = trend(binary.right(), schema)?;
    let right = match binary.op() {
        Operator::Plus => right,
        Operator::Minus => right.reversed(),
        _ => return None,
    };
    let of_interval =
        |side: &Expression| matches!(side.data_type(schema), Ok(DataType::Interval(_)));
    // The day of the month is cut where a month is too short for it, so that adding months to a
    // later time of day can give an earlier moment.
    let months_are_safe = |interval: &Expression, moment: &Expression| {
        !reads_clock(interval) && (!may_have_months(interval) || is_whole_days(moment, schema))
    };
    let is_safe = match (of_interval(binary.left()), of_interval(binary.right())) {
        (false, false) => true,
        (false, true) => months_are_safe(binary.right(), binary.left()),
        (true, false) => months_are_safe(binary.left(), binary.right()),
        (true, true) => false,
    };
    if !is_safe {
        return None;
    }
    left.plus(right)
}

fn may_have_months(interval: &Expression) -> bool {
    let Some(literal) = interval.downcast_ref::<Literal>() else {
        return true;
    };
    match literal.value() {
        ScalarValue::IntervalMonthDayNano(Some(interval)) => interval.months != 0,
        ScalarValue::IntervalDayTime(_) => false,
        _ => true,
    }
}

/// Whether an expression gives midnights only.
fn is_whole_days(expression: &Expression, schema: &Schema) -> bool {
    if matches!(expression.data_type(schema), Ok(DataType::Date32)) {
        return true;
    }
    if let Some(cast) = expression.downcast_ref::<CastExpr>() {
        let is_moment = matches!(cast.cast_type(), DataType::Timestamp(..));
        return is_moment && is_whole_days(cast.expr(), schema);
    }
    let call = expression.downcast_ref::<ScalarFunctionExpr>();
    call.is_some_and(|call| {
        let unit = text_of(call.args().first());
        let days = ["day", "week", "month", "quarter", "year"];
        call.fun().name() == "date_trunc" && unit.is_some_and(|unit| days.contains(&&unit[..]))
    })
}

fn text_of(argument: Option<&Expression>) -> Option<String> {
    let literal = argument?.downcast_ref::<Literal>()?;
    let text = literal.value().try_as_str()??;
    Some(text.to_lowercase())
}

/// Functions that never go back where their argument does not.
fn function(call: &ScalarFunctionExpr, schema: &Schema) -> Option<Trend> {
    let [parameter, moment, rest @ ..] = call.args() else {
        return None;
    };
    let is_fixed = !reads_clock(parameter) && !rest.iter().any(reads_clock);
    let moment_type = moment.data_type(schema).ok()?;
    let is_monotone = match call.fun().name() {
        "date_trunc" | "date_bin" => keeps_order(
            &moment_type,
            &DataType::Timestamp(arrow::datatypes::TimeUnit::Second, None),
        ),
        "date_part" => {
            let is_utc = keeps_order(&moment_type, &DataType::Date32);
            is_utc && text_of(Some(parameter)).is_some_and(|part| part == "year" || part == "epoch")
        }
        _ => false,
    };
    match is_fixed && is_monotone {
        true => trend(moment, schema),
        false => None,
    }
}
