//! Rows given for some columns of a table as rows of the table: cast, in order, with defaults.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Value, Values};
use futures::TryStreamExt;

use crate::model::{ColumnDefinition, TableDefinition};
use crate::sql::decimal;
use crate::sql::query::QueryContext;
use crate::sql::reason;
use crate::sql::statement::{calls_functions, parse_query};
use crate::sql::syntax::{cells, is_null, is_text};
use crate::sql::texts::readable;
use crate::sql::texts::time_texts;
use crate::sql::texts::written_bytes;
use crate::sql::types::sql_name;
use crate::sql::{SqlError, nearest};

/// What the given rows are called while defaults are computed beside them.
const GIVEN: &str = "given rows";

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The position of a column of a table.
pub(super) fn known_column(table: &TableDefinition, column: &str) -> Result<usize, SqlError> {
    table.column_index(column).ok_or_else(|| {
        let message = format!("table \"{}\" has no column \"{column}\"", table.name);
        let names = table.columns.iter().map(|column| column.name.as_str());
        let error = SqlError::new("42703", message).about(column);
        match nearest(column, names) {
            Some(similar) => error.with_hint(format!("is {similar} meant?")),
            None => error,
        }
    })
}

pub(super) fn types(
    table: &TableDefinition,
    columns: &[String],
) -> Result<Vec<DataType>, SqlError> {
    let columns = columns.iter().map(|column| {
        let position = known_column(table, column)?;
        Ok(table.columns[position].data_type.clone())
    });
    columns.collect()
}

pub(super) fn names(schema: &SchemaRef) -> Vec<String> {
    schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

/// The rows of an INSERT with the defaults in the place of the word DEFAULT; without a query one
/// row of defaults.
pub(super) fn with_default_words(
    query: Option<&Query>,
    table: &TableDefinition,
    columns: &[String],
) -> Result<Query, SqlError> {
    let Some(query) = query else {
        let defaults: Vec<String> = table.columns.iter().map(default_of).collect();
        return Ok(*parse_query(&format!("VALUES ({})", defaults.join(", ")))?);
    };
    let mut query = query.clone();
    if let SetExpr::Values(values) = query.body.as_mut() {
        for row in &mut values.rows {
            for (value, column) in row.content.iter_mut().zip(columns) {
                if is_default(value) {
                    let position = known_column(table, column)?;
                    *value = expression(&default_of(&table.columns[position]))?;
                }
            }
        }
        let types = types(table, columns)?;
        keep_decimals(values, &types);
        read_texts(values, &types)?;
    }
    Ok(query)
}

fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default"))
}

/// Whether a column that is not given may have the time as its default.
pub(super) fn asks_for_time(table: &TableDefinition, given: &[String]) -> bool {
    let missing = table.columns.iter();
    let mut missing = missing.filter(|column| !given.contains(&column.name));
    missing.any(|column| {
        let default = column.default.as_deref().map(expression);
        default.is_some_and(|default| default.is_ok_and(|default| calls_functions(&default)))
    })
}

/// Lets the values for decimal columns keep the digits that are written.
fn keep_decimals(values: &mut Values, types: &[DataType]) {
    for (position, data_type) in types.iter().enumerate() {
        if let DataType::Decimal128(precision, scale) = data_type {
            let mut cells: Vec<&mut Expr> = cells(values, position).collect();
            decimal::keep_in_column(&mut cells, *precision, *scale);
        }
    }
}

/// Casts texts that stand among other values of a column to its type, and in a column of texts the
/// others. `VALUES` would give all of them one type, whichever column they are for.
fn read_texts(values: &mut Values, types: &[DataType]) -> Result<(), SqlError> {
    for (position, data_type) in types.iter().enumerate() {
        // Columns of decimals take texts digit by digit.
        if matches!(data_type, DataType::Decimal128(..)) {
            continue;
        }
        let is_other = |cell: &Expr| !is_text(cell) && !is_null(cell);
        let has_texts = cells(values, position).any(|cell| is_text(cell));
        if !has_texts || !cells(values, position).any(|cell| is_other(cell)) {
            continue;
        }
        for cell in cells(values, position) {
            let is_cast = match data_type {
                DataType::Utf8 => is_other(cell),
                _ => is_text(cell),
            };
            if is_cast {
                *cell = in_type(cell, data_type)?;
            }
        }
    }
    Ok(())
}

/// A value as one of a type; a number that is to be a text keeps the digits that are written.
fn in_type(value: &Expr, data_type: &DataType) -> Result<Expr, SqlError> {
    let number = match data_type {
        DataType::Utf8 => decimal::written_number(value),
        _ => None,
    };
    match number {
        Some(digits) => Ok(Expr::value(Value::SingleQuotedString(digits))),
        None => expression(&format!("CAST({value} AS {})", sql_name(data_type))),
    }
}

/// The default of a column as SQL.
pub(super) fn default_of(column: &ColumnDefinition) -> String {
    let default = column.default.as_deref().unwrap_or("NULL");
    value_for(column, default)
}

/// A value for a column as SQL: of a number for a decimal column its text, which has all digits.
pub(super) fn value_for(column: &ColumnDefinition, value: &str) -> String {
    let number = match column.data_type {
        DataType::Decimal128(..) => expression(value).ok(),
        _ => None,
    };
    match number.as_ref().and_then(decimal::inexact) {
        Some(number) => format!("'{number}'"),
        None => value.to_owned(),
    }
}

/// The text of an expression as the parser's tree.
fn expression(text: &str) -> Result<Expr, SqlError> {
    let query = parse_query(&format!("VALUES ({text})"))?;
    let SetExpr::Values(values) = *query.body else {
        return Err(SqlError::syntax(format!("\"{text}\" is not a value")));
    };
    let mut row = values.rows.into_iter().flat_map(|row| row.content);
    row.next()
        .ok_or_else(|| SqlError::syntax(format!("\"{text}\" is not a value")))
}

/// Rows for some columns as rows of the table; columns that are not given get their defaults.
pub(super) async fn complete(
    context: &QueryContext,
    table: &TableDefinition,
    columns: &[String],
    rows: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>, SqlError> {
    check_columns(table, columns)?;
    let is_missing = |column: &&ColumnDefinition| !columns.contains(&column.name);
    let defaults: Vec<&ColumnDefinition> = table
        .columns
        .iter()
        .filter(is_missing)
        .filter(|column| column.default.is_some())
        .collect();
    let Some(first) = rows.first().filter(|_| !defaults.is_empty()) else {
        let rows = rows.iter().map(|rows| fit(table, columns, rows));
        return rows.collect();
    };
    check_width(table, columns, first)?;
    let context = context.with_rows(GIVEN, rename(&rows, columns)?)?;
    let mut values: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    values.extend(
        defaults
            .iter()
            .map(|column| format!("({}) AS {}", default_of(column), quoted(&column.name))),
    );
    let text = format!("SELECT {} FROM {}", values.join(", "), quoted(GIVEN));
    let query = parse_query(&text)?;
    let plan = context.plan(&query)?;
    let rows: Vec<RecordBatch> = context.execute(plan).await?.try_collect().await?;
    let all = columns.iter().cloned();
    let all: Vec<String> = all
        .chain(defaults.iter().map(|column| column.name.clone()))
        .collect();
    let rows = rows.iter().map(|rows| fit(table, &all, rows));
    rows.collect()
}

/// The rows under other names.
fn rename(rows: &[RecordBatch], columns: &[String]) -> Result<Vec<RecordBatch>, SqlError> {
    let renamed = rows.iter().map(|rows| {
        let fields = rows.schema();
        let fields = fields.fields().iter().zip(columns);
        let fields = fields.map(|(field, name)| field.as_ref().clone().with_name(name));
        let schema = arrow::datatypes::Schema::new(fields.collect::<Vec<_>>());
        RecordBatch::try_new(Arc::new(schema), rows.columns().to_vec())
            .map_err(|error| SqlError::from(DataFusionError::from(error)))
    });
    renamed.collect()
}

fn check_columns(table: &TableDefinition, columns: &[String]) -> Result<(), SqlError> {
    for (position, column) in columns.iter().enumerate() {
        known_column(table, column)?;
        if columns[..position].contains(column) {
            let message = format!("column \"{column}\" is named twice");
            return Err(SqlError::new("42701", message));
        }
    }
    Ok(())
}

fn check_width(
    table: &TableDefinition,
    columns: &[String],
    rows: &RecordBatch,
) -> Result<(), SqlError> {
    if columns.len() == rows.num_columns() {
        return Ok(());
    }
    let message = format!(
        "{} values are given for {} columns of \"{}\"",
        rows.num_columns(),
        columns.len(),
        table.name
    );
    Err(SqlError::new("42601", message))
}

/// Rows given for some columns as rows of the table: cast, in order, the others NULL.
pub(super) fn fit(
    table: &TableDefinition,
    columns: &[String],
    rows: &RecordBatch,
) -> Result<RecordBatch, SqlError> {
    check_width(table, columns, rows)?;
    check_columns(table, columns)?;
    let arrays = table
        .columns
        .iter()
        .map(|column| -> Result<ArrayRef, SqlError> {
            let Some(position) = columns.iter().position(|name| *name == column.name) else {
                return Ok(new_null_array(&column.data_type, rows.num_rows()));
            };
            let options = CastOptions {
                safe: false,
                ..Default::default()
            };
            let value = rows.column(position);
            if column.data_type == DataType::Binary && value.data_type().is_string() {
                return bytes(table, column, value);
            }
            if let Some(hint) = unlike(value.data_type(), &column.data_type) {
                return Err(wrong_type(table, column, value.data_type()).with_hint(hint));
            }
            let is_text = value.data_type().is_string();
            let complete = match column.data_type {
                _ if is_text && readable::is_concerned(&column.data_type) => {
                    readable::of_texts(value, &column.data_type).map_err(DataFusionError::from)?
                }
                DataType::Utf8 if time_texts::is_written_here(value.data_type()) => {
                    time_texts::texts_of(value)?
                }
                _ => Arc::clone(value),
            };
            let cast = cast_with_options(&complete, &column.data_type, &options);
            cast.map_err(|error| no_value(table, column, &error.to_string()))
        });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    for (column, values) in table.columns.iter().zip(&arrays) {
        if !column.nullable && values.null_count() > 0 {
            let message = format!(
                "column \"{}\" of \"{}\" must have a value, and a row has NULL",
                column.name, table.name
            );
            return Err(SqlError::new("23502", message));
        }
        check_length(table, column, values)?;
    }
    RecordBatch::try_new(table.schema(), arrays).map_err(|error| {
        let message = format!("table \"{}\": {error}", table.name);
        SqlError::new("23502", message)
    })
}

/// What to write instead of a value that Arrow would take for one of another type: a number for a
/// time since 1970, for its own bytes or for whether it is zero, and a time or a truth value for a
/// number.
fn unlike(found: &DataType, wanted: &DataType) -> Option<&'static str> {
    match wanted {
        DataType::Boolean if found.is_numeric() => {
            Some("write true or false, or a comparison: n <> 0")
        }
        DataType::Binary if found.is_numeric() => Some("write '\\x00ff', or CAST(… AS TEXT)"),
        time if time.is_temporal() && found.is_numeric() => {
            Some("write DATE '2026-05-04', TIMESTAMP '…' or TIME '…'")
        }
        number if number.is_numeric() && found.is_temporal() => {
            Some("write a number, or take one of it: extract(epoch FROM …)")
        }
        number if number.is_numeric() && *found == DataType::Boolean => {
            Some("cast it: CAST(… AS INT)")
        }
        _ => None,
    }
}

/// A value that its column does not take, though it could be cast.
fn wrong_type(table: &TableDefinition, column: &ColumnDefinition, found: &DataType) -> SqlError {
    let (found, wanted) = (sql_name(found), sql_name(&column.data_type));
    let message = format!(
        "column \"{}\" of \"{}\": {found} cannot be cast to {wanted}",
        column.name, table.name
    );
    SqlError::new("42804", message)
}

/// Texts that are written to a column of bytes.
fn bytes(
    table: &TableDefinition,
    column: &ColumnDefinition,
    texts: &ArrayRef,
) -> Result<ArrayRef, SqlError> {
    let texts = cast(texts, &DataType::Utf8).map_err(DataFusionError::from)?;
    let bytes = written_bytes::of_texts(texts.as_string::<i32>()).map_err(|reason| {
        let message = format!("column \"{}\" of \"{}\": {reason}", column.name, table.name);
        SqlError::new("22P02", message)
    })?;
    Ok(Arc::new(bytes))
}

/// Refuses texts that are longer than their column takes.
fn check_length(
    table: &TableDefinition,
    column: &ColumnDefinition,
    values: &ArrayRef,
) -> Result<(), SqlError> {
    let (Some(most), Some(texts)) = (column.max_length, values.as_string_opt::<i32>()) else {
        return Ok(());
    };
    // A text has at most as many characters as bytes.
    let long = texts
        .iter()
        .flatten()
        .filter(|text| text.len() > most as usize);
    let mut lengths = long.map(|text| text.chars().count());
    match lengths.find(|length| *length > most as usize) {
        None => Ok(()),
        Some(length) => {
            let message = format!(
                "column \"{}\" of \"{}\": a text has {length} characters, and VARCHAR({most}) \
                 takes {most}",
                column.name, table.name
            );
            Err(SqlError::new("22001", message).with_hint(format!("cut it with left(…, {most})")))
        }
    }
}

/// A value is none of its column's type.
fn no_value(table: &TableDefinition, column: &ColumnDefinition, reason: &str) -> SqlError {
    let known = reason::of_text(reason);
    let (sqlstate, reason) = match &known {
        // That there is no such cast means that the value is of a wrong type.
        Some(error) if error.sqlstate == "42846" => ("42804", error.message.as_str()),
        Some(error) => (error.sqlstate, error.message.as_str()),
        None => ("22000", reason),
    };
    let message = format!("column \"{}\" of \"{}\": {reason}", column.name, table.name);
    SqlError::new(sqlstate, message)
}

/// Rows of a table as bytes that are equal where the given columns are, and ordered as they are.
pub(super) struct Encoded(RowConverter);

impl Encoded {
    /// An encoding of some columns.
    pub(super) fn new(table: &TableDefinition, columns: &[usize]) -> Result<Encoded, SqlError> {
        let fields = columns
            .iter()
            .map(|column| SortField::new(table.columns[*column].data_type.clone()));
        let converter = RowConverter::new(fields.collect()).map_err(DataFusionError::from)?;
        Ok(Encoded(converter))
    }

    /// The bytes of the rows.
    pub(super) fn rows(&self, columns: &[usize], rows: &RecordBatch) -> Result<Rows, SqlError> {
        let columns: Vec<ArrayRef> = columns
            .iter()
            .map(|column| Arc::clone(rows.column(*column)))
            .collect();
        Ok(self
            .0
            .convert_columns(&columns)
            .map_err(DataFusionError::from)?)
    }
}
