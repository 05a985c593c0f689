//! CREATE TABLE: columns, their types and defaults, the primary key, whether rows are for ever.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::sql::sqlparser::ast::{
    self, CharacterLength, ColumnOption, CreateTable, ExactNumberInfo, Expr, SqlOption,
    TableConstraint, TimezoneInfo,
};

use super::view::options;
use super::{Statement, identifier, name, unknown};
use crate::model::{ColumnDefinition, TableDefinition};
use crate::sql::{SqlError, types};

/// Reads the statement.
pub(super) fn create_table(create: CreateTable) -> Result<Statement, SqlError> {
    if create.query.is_some() {
        return Err(unknown("CREATE TABLE … AS SELECT")
            .with_hint("CREATE TABLE, then INSERT INTO … SELECT; or CREATE MATERIALIZED VIEW"));
    }
    if create.external || create.temporary {
        return Err(unknown("CREATE EXTERNAL or TEMPORARY TABLE"));
    }
    let table = name(&create.name)?;
    let mut columns = Vec::new();
    let mut key: Vec<String> = Vec::new();
    let mut keys = 0;
    for column in &create.columns {
        let column_name = identifier(&column.name);
        let (mut nullable, mut default) = (true, None);
        for option in &column.options {
            match &option.option {
                ColumnOption::NotNull => nullable = false,
                ColumnOption::Null => {}
                ColumnOption::PrimaryKey(_) => {
                    keys += 1;
                    key.push(column_name.clone());
                }
                ColumnOption::Default(value) => default = Some(value.to_string()),
                ColumnOption::Comment(_) => {}
                other => return Err(unknown(&format!("the column option {other}"))),
            }
        }
        columns.push(ColumnDefinition {
            data_type: data_type(&column.data_type)?,
            name: column_name,
            nullable,
            description: String::new(),
            default,
            max_length: max_length(&column.data_type)?,
        });
    }
    for constraint in &create.constraints {
        match constraint {
            TableConstraint::PrimaryKey(primary) => {
                keys += 1;
                for column in &primary.columns {
                    let Expr::Identifier(column) = &column.column.expr else {
                        return Err(unknown(&format!("the key {}", column.column.expr)));
                    };
                    key.push(identifier(column));
                }
            }
            other => return Err(unknown(&format!("the constraint {other}"))),
        }
    }
    if keys > 1 {
        let message = format!("table \"{table}\" has {keys} primary keys");
        let error = SqlError::new("42P16", message);
        return Err(error.with_hint("write one of several columns: PRIMARY KEY (a, b)"));
    }
    let mut definition = definition(table, columns, &key)?;
    definition.append_only = append_only(options(&create.table_options))?;
    if definition.append_only && definition.is_keyed() {
        return Err(SqlError::new(
            "42P16",
            "a table has a primary key, by which rows are replaced, or is append-only; not both",
        )
        .with_hint("leave one of the two out"));
    }
    Ok(Statement::CreateTable {
        definition,
        if_not_exists: create.if_not_exists,
    })
}

/// The one option there is.
fn append_only(options: &[SqlOption]) -> Result<bool, SqlError> {
    let mut append_only = false;
    for option in options {
        let text = option.to_string().to_lowercase().replace([' ', '\''], "");
        append_only = match text.as_str() {
            "append_only" | "append_only=true" => true,
            "append_only=false" => false,
            _ => {
                return Err(unknown(&format!("the option {option} of a table"))
                    .with_hint("there is one: WITH (append_only = true)"));
            }
        };
    }
    Ok(append_only)
}

fn definition(
    name: String,
    mut columns: Vec<ColumnDefinition>,
    key: &[String],
) -> Result<TableDefinition, SqlError> {
    if columns.is_empty() {
        return Err(SqlError::new(
            "42601",
            format!("table \"{name}\" has no columns"),
        ));
    }
    let mut names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("table \"{name}\" has two columns called \"{}\"", pair[0]);
        return Err(SqlError::new("42701", message));
    }
    if let Some(twice) = (1..key.len()).find(|position| key[..*position].contains(&key[*position]))
    {
        let message = format!("the key of \"{name}\" names \"{}\" twice", key[twice]);
        return Err(SqlError::new("42701", message));
    }
    let position = |column: &String| {
        let position = columns.iter().position(|other| other.name == *column);
        position.ok_or_else(|| {
            SqlError::new(
                "42703",
                format!("the key column \"{column}\" is not in \"{name}\""),
            )
        })
    };
    let primary_key = key.iter().map(position).collect::<Result<Vec<_>, _>>()?;
    for column in &primary_key {
        columns[*column].nullable = false;
    }
    Ok(TableDefinition {
        name,
        description: String::new(),
        columns,
        primary_key,
        version: Vec::new(),
        event_identity: Vec::new(),
        append_only: false,
    })
}

/// The length of `VARCHAR(n)`.
fn max_length(sql: &ast::DataType) -> Result<Option<u32>, SqlError> {
    use ast::DataType as Sql;
    let (Sql::Varchar(Some(length))
    | Sql::CharVarying(Some(length))
    | Sql::CharacterVarying(Some(length))) = sql
    else {
        return Ok(None);
    };
    let CharacterLength::IntegerLength { length, .. } = length else {
        return Ok(None);
    };
    match u32::try_from(*length) {
        Ok(length) if length > 0 => Ok(Some(length)),
        _ => Err(SqlError::new(
            "22023",
            format!("VARCHAR({length}) has no room for a text, or more than there is"),
        )
        .with_hint("write TEXT for texts of any length")),
    }
}

fn data_type(sql: &ast::DataType) -> Result<DataType, SqlError> {
    use ast::DataType as Sql;
    let decimal = |info: &ExactNumberInfo| match info {
        ExactNumberInfo::None => DataType::Decimal128(38, 10),
        ExactNumberInfo::Precision(precision) => DataType::Decimal128(*precision as u8, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => {
            DataType::Decimal128(*precision as u8, *scale as i8)
        }
    };
    Ok(match sql {
        Sql::Text
        | Sql::Varchar(_)
        | Sql::CharVarying(_)
        | Sql::CharacterVarying(_)
        | Sql::String(_) => DataType::Utf8,
        Sql::SmallInt(_) | Sql::Int2(_) => DataType::Int16,
        Sql::Int(_) | Sql::Integer(_) | Sql::Int4(_) => DataType::Int32,
        Sql::BigInt(_) | Sql::Int8(_) => DataType::Int64,
        Sql::Double(_) | Sql::DoublePrecision | Sql::Float8 => DataType::Float64,
        Sql::Real | Sql::Float4 => DataType::Float32,
        Sql::Float(_) => DataType::Float64,
        Sql::Numeric(info) | Sql::Decimal(info) | Sql::Dec(info) => decimal(info),
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::Date => DataType::Date32,
        Sql::Time(..) => DataType::Time64(TimeUnit::Microsecond),
        Sql::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        Sql::Timestamp(..) => DataType::Timestamp(TimeUnit::Microsecond, None),
        Sql::Bytea | Sql::Binary(_) | Sql::Varbinary(_) | Sql::Blob(_) => DataType::Binary,
        other => return Err(types::refusal(&other.to_string())),
    })
}
