//! Forms of SQL that DataFusion does not read, written as those that it does.
//!
//! The order is that of [`rewrite`]; `array_subquery` follows, once the names of aggregates are known,
//! and `like` as the last. `parsed_forms` and `parsed_lists` are read beside the parser, by the
//! dialect. `over_rows` is what several of them are written with.

pub(super) mod array_subquery;
mod distinct_on;
pub(super) mod far_time;
mod fetch;
pub(super) mod grouping_elements;
mod interval_parts;
pub(super) mod like;
mod named_windows;
pub(super) mod over_rows;
mod overlaps;
pub(super) mod parsed_forms;
pub(super) mod parsed_lists;
mod row_keys;
mod row_subqueries;
mod row_values;
mod set_returning;
mod similar;
mod typed_parameters;
mod value_rows;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CharacterLength, DataType, ExactNumberInfo, Expr, FunctionArg, FunctionArgExpr,
    FunctionArguments, Query, SelectItem, Value,
};

use super::error::SqlError;
use super::syntax::{
    call, edit_expressions, edit_queries, edit_selects, is_text, take_value, text_of,
};
use super::texts::time_pattern::as_strftime;
use super::texts::written_bytes::bytes_of;
use super::texts::written_intervals::in_units;
use super::texts::written_lists::with_elements;
use super::texts::written_times::complete_moment;
use far_time::in_microseconds;
use row_values::compare_values;
use similar::as_regular_expression;

/// Writes all of them anew.
pub fn rewrite(query: &mut Query) -> Result<(), SqlError> {
    let mut refusal = Ok(());
    value_rows::in_one_type(query);
    value_rows::as_lists(query);
    edit_queries(query, &mut |query| {
        row_keys::in_query(query);
        let written = fetch::as_limit(query)
            .and_then(|()| named_windows::in_order(query))
            .and_then(|()| distinct_on::rewrite(query));
        if let Err(error) = written {
            refusal = Err(error);
        }
    });
    edit_selects(query, &mut |select| {
        select.projection.iter_mut().for_each(keep_name_of_cut);
        set_returning::in_select(select);
        let written = row_subqueries::in_where(select)
            .and_then(|()| grouping_elements::rewrite(select))
            .and_then(|()| named_windows::in_select(select));
        if let Err(error) = written {
            refusal = Err(error);
        }
    });
    // It never breaks off.
    let _ = edit_expressions(query, &mut |expression| {
        truncate_in_zone(expression);
        written_bytes(expression);
        complete_moment(expression);
        in_units(expression);
        cut_to_length(expression);
        float_as_double(expression);
        list_of_columns(expression);
        row_keys::in_call(expression);
        let written = row_subqueries::as_value(expression)
            .and_then(|()| overlaps::as_comparisons(expression))
            .and_then(|()| compare_values(expression))
            .and_then(|()| with_elements(expression))
            .and_then(|()| interval_parts::in_order(expression))
            .and_then(|()| as_strftime(expression))
            .and_then(|()| in_microseconds(expression))
            .and_then(|()| as_regular_expression(expression))
            .and_then(|()| substring_by_pattern(expression));
        if let Err(error) = written {
            refusal = Err(error);
        }
        substring_as_call(expression);
        typed_parameters::in_call(expression);
        ControlFlow::Continue(())
    });
    refusal
}

/// `substring(text FROM 'pattern')` is what a regular expression finds first: its first group, or
/// all of it where it has none.
fn substring_by_pattern(expression: &mut Expr) -> Result<(), SqlError> {
    let Expr::Substring {
        expr,
        substring_from: Some(pattern),
        substring_for: None,
        shorthand: false,
        ..
    } = expression
    else {
        return Ok(());
    };
    if !is_text(pattern) {
        return Ok(());
    }
    let text = format!("SELECT (regexp_match({expr}, {pattern}))[1]");
    *expression = over_rows::value(&text)?;
    Ok(())
}

/// `substring(value FROM 2 FOR 3)` is `substr(value, 2, 3)`: the planner knows the first of texts
/// alone.
fn substring_as_call(expression: &mut Expr) {
    let Expr::Substring {
        expr,
        substring_from,
        substring_for,
        ..
    } = &*expression
    else {
        return;
    };
    let first = || Expr::value(Value::Number("1".to_owned(), false));
    let from = substring_from.as_deref().cloned();
    let mut arguments = vec![expr.as_ref().clone(), from.unwrap_or_else(first)];
    arguments.extend(substring_for.as_deref().cloned());
    *expression = call("substr", arguments);
}

/// `'\x00ff'::bytea`, and `'\000\377'::bytea`, is `X'00ff'`.
fn written_bytes(expression: &mut Expr) {
    let Expr::Cast {
        expr, data_type, ..
    } = &*expression
    else {
        return;
    };
    if let (Some(text), DataType::Bytea) = (text_of(expr), data_type)
        && text.contains('\\')
        && let Some(bytes) = bytes_of(text)
    {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        *expression = Expr::value(Value::HexStringLiteral(digits));
    }
}

/// `date_trunc(unit, at, zone)` is the moment at which the unit begins in that zone.
fn truncate_in_zone(expression: &mut Expr) {
    let Expr::Function(call) = expression else {
        return;
    };
    let is_meant = call.name.to_string().eq_ignore_ascii_case("date_trunc");
    let FunctionArguments::List(list) = &mut call.args else {
        return;
    };
    if !is_meant || list.args.len() != 3 {
        return;
    }
    let is_plain =
        |value: &FunctionArg| matches!(value, FunctionArg::Unnamed(FunctionArgExpr::Expr(_)));
    if !list.args.iter().all(is_plain) {
        return;
    }
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(zone))) = list.args.pop() else {
        return;
    };
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(at))) = list.args.last_mut() {
        let given = std::mem::replace(at, zone.clone());
        *at = in_zone(given, zone);
    }
    let utc = Expr::value(Value::SingleQuotedString("UTC".to_owned()));
    let truncated = std::mem::replace(expression, utc.clone());
    *expression = in_zone(truncated, utc);
}

/// The types of texts that may have a length, which the planner does not look at.
fn text_length(data_type: &mut DataType) -> Option<&mut Option<CharacterLength>> {
    match data_type {
        DataType::Varchar(length)
        | DataType::CharVarying(length)
        | DataType::CharacterVarying(length) => Some(length),
        _ => None,
    }
}

/// A column that is cut is called as it was.
fn keep_name_of_cut(item: &mut SelectItem) {
    let SelectItem::UnnamedExpr(expression) = item else {
        return;
    };
    let Expr::Cast {
        expr, data_type, ..
    } = expression
    else {
        return;
    };
    let is_cut = text_length(data_type).is_some_and(|length| length.is_some());
    let name = match expr.as_ref() {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    if let (true, Some(name)) = (is_cut, name.cloned()) {
        *item = SelectItem::ExprWithAlias {
            expr: expression.clone(),
            alias: name,
        };
    }
}

/// `CAST(value AS VARCHAR(n))` has the first n characters.
fn cut_to_length(expression: &mut Expr) {
    let Expr::Cast { data_type, .. } = expression else {
        return;
    };
    let Some(length) = text_length(data_type).map(Option::take) else {
        return;
    };
    *data_type = DataType::Varchar(None);
    let Some(CharacterLength::IntegerLength { length, .. }) = length else {
        return;
    };
    let text = take_value(expression);
    let length = Expr::value(Value::Number(length.to_string(), false));
    *expression = call("left", vec![text, length]);
}

/// `ARRAY[a, b]` is `make_array(a, b)`: the planner does not see columns of outer queries, nor
/// queries of WITH, in the first.
fn list_of_columns(expression: &mut Expr) {
    let Expr::Array(array) = &*expression else {
        return;
    };
    let found = edit_expressions(&mut array.elem.clone(), &mut |part| match part {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Subquery(_)
        | Expr::InSubquery { .. }
        | Expr::Exists { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if found.is_break() {
        let elements = array.elem.clone();
        *expression = call("make_array", elements);
    }
}

/// `FLOAT` is a double, as it is for columns, unless it is said to be shorter.
fn float_as_double(expression: &mut Expr) {
    if let Expr::Cast { data_type, .. } = expression
        && let DataType::Float(bits) = &*data_type
        && !matches!(bits, ExactNumberInfo::Precision(1..=24))
    {
        *data_type = DataType::DoublePrecision;
    }
}

fn in_zone(timestamp: Expr, zone: Expr) -> Expr {
    Expr::AtTimeZone {
        timestamp: Box::new(Expr::Nested(Box::new(timestamp))),
        time_zone: Box::new(zone),
    }
}
