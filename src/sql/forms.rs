//! Forms of SQL that DataFusion does not read, written as those that it does.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CharacterLength, DataType, ExactNumberInfo, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, LimitClause,
    ObjectName, Query, Select, SelectItem, SetExpr, TableFactor, UnaryOperator, Value,
};

use super::error::SqlError;
use super::far_time::in_microseconds;
use super::grouping_elements;
use super::interval_parts;
use super::named_windows;
use super::row_values::compare_values;
use super::similar::as_regular_expression;
use super::statement::parse_query;
use super::syntax::{edit_expressions, edit_queries, edit_selects};
use super::time_pattern::as_strftime;
use super::written_bytes::bytes_of;
use super::written_intervals::in_units;
use super::written_lists::with_elements;
use super::written_times::complete_moment;

/// Writes all of them anew.
pub fn rewrite(query: &mut Query) -> Result<(), SqlError> {
    let mut refusal = Ok(());
    edit_queries(query, &mut |query| {
        if let Err(error) = fetch_as_limit(query).and_then(|()| named_windows::in_order(query)) {
            refusal = Err(error);
        }
    });
    edit_selects(query, &mut |select| {
        select.projection.iter_mut().for_each(keep_name_of_cut);
        let written = rows_in_where(select)
            .and_then(|()| grouping_elements::rewrite(select))
            .and_then(|()| named_windows::in_select(select));
        if let Err(error) = written {
            refusal = Err(error);
        }
    });
    // It never breaks off.
    let _ = edit_expressions(query, &mut |expression| {
        truncate_in_zone(expression);
        unit_as_text(expression);
        written_bytes(expression);
        complete_moment(expression);
        in_units(expression);
        cut_to_length(expression);
        float_as_double(expression);
        list_of_columns(expression);
        let written = row_in_value(expression)
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
    let is_text = match pattern.as_ref() {
        Expr::Value(value) => matches!(value.value, Value::SingleQuotedString(_)),
        _ => false,
    };
    if !is_text {
        return Ok(());
    }
    let text = format!("SELECT (regexp_match({expr}, {pattern}))[1]");
    if let SetExpr::Select(select) = *parse_query(&text)?.body
        && let Some(SelectItem::UnnamedExpr(found)) = select.projection.into_iter().next()
    {
        *expression = found;
    }
    Ok(())
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
fn fetch_as_limit(query: &mut Query) -> Result<(), SqlError> {
    let Some(fetch) = query.fetch.take() else {
        return Ok(());
    };
    if fetch.with_ties || fetch.percent {
        return Err(SqlError::unsupported(format!("{fetch} is not supported"))
            .with_hint("for ties, write QUALIFY rank() OVER (ORDER BY …) <= n"));
    }
    let count = fetch.quantity;
    let count = count.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    let offset = match query.limit_clause.take() {
        None => None,
        Some(LimitClause::LimitOffset {
            limit: None,
            offset,
            limit_by,
        }) if limit_by.is_empty() => offset,
        Some(_) => return Err(SqlError::syntax("write LIMIT or FETCH, not both")),
    };
    query.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(count),
        offset,
        limit_by: Vec::new(),
    });
    Ok(())
}

/// `'\x00ff'::bytea` is `X'00ff'`.
fn written_bytes(expression: &mut Expr) {
    let Expr::Cast {
        expr, data_type, ..
    } = &*expression
    else {
        return;
    };
    if let (Expr::Value(value), DataType::Bytea) = (expr.as_ref(), data_type)
        && let Value::SingleQuotedString(text) = &value.value
        && let Some(digits) = text.strip_prefix("\\x")
        && bytes_of(text).is_some()
    {
        *expression = Expr::value(Value::HexStringLiteral(digits.to_owned()));
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

/// The unit of `date_trunc($1, at)` is a text: nothing is known of a parameter that no type is
/// declared for, and the planner finds no function for it.
fn unit_as_text(expression: &mut Expr) {
    let Expr::Function(call) = expression else {
        return;
    };
    let is_meant = call.name.to_string().eq_ignore_ascii_case("date_trunc");
    let FunctionArguments::List(list) = &mut call.args else {
        return;
    };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) = list.args.first_mut() else {
        return;
    };
    let is_parameter = match &*unit {
        Expr::Value(value) => matches!(value.value, Value::Placeholder(_)),
        _ => false,
    };
    if is_meant && is_parameter {
        let parameter = std::mem::replace(unit, Expr::value(Value::Null));
        *unit = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(parameter),
            data_type: DataType::Varchar(None),
            array: false,
            format: None,
        };
    }
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
    let text = std::mem::replace(expression, Expr::value(Value::Null));
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

/// A call of a function.
fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter();
    let arguments = arguments.map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
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

/// `(a, b) IN (SELECT …)` among the conditions of a WHERE: whether there is such a row, or
/// certainly none.
fn rows_in_where(select: &mut Select) -> Result<(), SqlError> {
    match &mut select.selection {
        Some(condition) => rows_in_condition(condition),
        None => Ok(()),
    }
}

fn rows_in_condition(condition: &mut Expr) -> Result<(), SqlError> {
    match condition {
        Expr::Nested(inner) => rows_in_condition(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            rows_in_condition(left)?;
            rows_in_condition(right)
        }
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => match expr.as_mut() {
            Expr::InSubquery { negated, .. } => {
                *negated = !*negated;
                let test = std::mem::replace(expr.as_mut(), Expr::value(Value::Null));
                *condition = test;
                rows_in_condition(condition)
            }
            _ => Ok(()),
        },
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => {
            let Expr::Tuple(values) = expr.as_ref() else {
                return Ok(());
            };
            let equal = equal_row(values);
            let (word, equal) = match negated {
                true => ("NOT EXISTS", format!("({equal}) IS NOT FALSE")),
                false => ("EXISTS", equal),
            };
            let text = format!(
                "SELECT {word} (SELECT 1 FROM (SELECT 1) AS {ROWS}({}) WHERE {equal})",
                columns(values.len())
            );
            let rows = std::mem::replace(subquery, empty_query()?);
            *condition = with_rows(&text, rows)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `(a, b) IN (SELECT …)` as a value: NULL where no row is equal, but one may be for its NULLs.
fn row_in_value(expression: &mut Expr) -> Result<(), SqlError> {
    let Expr::InSubquery {
        expr,
        subquery,
        negated,
    } = expression
    else {
        return Ok(());
    };
    let Expr::Tuple(values) = expr.as_ref() else {
        return Ok(());
    };
    let equal = equal_row(values);
    let (found, not_found) = match negated {
        true => ("false", "true"),
        false => ("true", "false"),
    };
    let text = format!(
        "SELECT (SELECT CASE WHEN bool_or({equal}) THEN {found} WHEN bool_or(({equal}) IS NULL) \
         THEN NULL ELSE {not_found} END FROM (SELECT 1) AS {ROWS}({}))",
        columns(values.len())
    );
    let rows = std::mem::replace(subquery, empty_query()?);
    *expression = with_rows(&text, rows)?;
    Ok(())
}

/// The name of the subquery's rows, which no column of the query around it has.
const ROWS: &str = "\"[rows]\"";

fn columns(count: usize) -> String {
    let columns = (0..count).map(|number| format!("\"[column {number}]\""));
    columns.collect::<Vec<_>>().join(", ")
}

fn equal_row(values: &[Expr]) -> String {
    let values = values.iter().enumerate();
    let values = values.map(|(number, value)| format!("{ROWS}.\"[column {number}]\" = ({value})"));
    values.collect::<Vec<_>>().join(" AND ")
}

fn empty_query() -> Result<Box<Query>, SqlError> {
    parse_query("SELECT 1")
}

/// The one column of a query, with other rows in the place of those of its subquery `SELECT 1`.
fn with_rows(text: &str, rows: Box<Query>) -> Result<Expr, SqlError> {
    let mut query = parse_query(text)?;
    let mut rows = Some(rows);
    edit_selects(&mut *query, &mut |select| {
        for table in &mut select.from {
            if let TableFactor::Derived { subquery, .. } = &mut table.relation
                && let Some(rows) = rows.take()
            {
                *subquery = rows;
            }
        }
    });
    let SetExpr::Select(select) = *query.body else {
        return Err(SqlError::syntax("expected a SELECT"));
    };
    let column = select.projection.into_iter().next();
    match column {
        Some(SelectItem::UnnamedExpr(value)) => Ok(value),
        _ => Err(SqlError::syntax("expected a value")),
    }
}

/// A query with its columns called as they are in a list.
pub fn with_names(query: Box<Query>, names: &[String]) -> Result<Box<Query>, SqlError> {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("\"{}\"", name.replace('"', "\"\"")))
        .collect();
    let text = format!("SELECT * FROM (SELECT 1) AS {ROWS}({})", names.join(", "));
    let mut named = parse_query(&text)?;
    if let SetExpr::Select(select) = named.body.as_mut()
        && let Some(table) = select.from.first_mut()
        && let TableFactor::Derived { subquery, .. } = &mut table.relation
    {
        *subquery = query;
    }
    Ok(named)
}
