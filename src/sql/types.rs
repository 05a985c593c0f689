//! The names of types: Arrow's as SQL calls them, names that no type has, and those that DataFusion
//! takes for another type than columns have; and the type of intervals.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, TimezoneInfo};

use super::error::{SqlError, nearest};

/// The type of intervals.
pub const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Names of the types that columns have and values are cast to.
const KNOWN: [&str; 28] = [
    "bigint",
    "bool",
    "boolean",
    "bytea",
    "date",
    "decimal",
    "double",
    "float",
    "float4",
    "float8",
    "int",
    "int2",
    "int4",
    "int8",
    "integer",
    "interval",
    "numeric",
    "real",
    "smallint",
    "string",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "tinyint",
    "varchar",
    "array",
    "struct",
];

/// Names of types that Postgres has beside these.
const OF_POSTGRES: [&str; 60] = [
    "aclitem",
    "bigserial",
    "bit",
    "box",
    "bpchar",
    "char",
    "character",
    "cid",
    "cidr",
    "circle",
    "citext",
    "datemultirange",
    "daterange",
    "hstore",
    "inet",
    "int2vector",
    "int4multirange",
    "int4range",
    "int8multirange",
    "int8range",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "nummultirange",
    "numrange",
    "oid",
    "oidvector",
    "path",
    "pg_lsn",
    "pg_snapshot",
    "point",
    "polygon",
    "record",
    "refcursor",
    "regclass",
    "regnamespace",
    "regoper",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "serial",
    "smallserial",
    "tid",
    "timetz",
    "tsmultirange",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "uuid",
    "varbit",
    "xid",
    "xml",
];

/// Why a type as it is written is not taken: it is none (42704), or none that is supported.
pub fn refusal(written: &str) -> SqlError {
    let name = written.split(['(', ' ', '<']).next().unwrap_or(written);
    let name = name.rsplit('.').next().unwrap_or(name).trim_matches('"');
    let lower = name.to_lowercase();
    if KNOWN.contains(&lower.as_str()) || OF_POSTGRES.contains(&lower.as_str()) {
        let message = format!("the type {written} is not supported");
        return SqlError::unsupported(message).with_hint(WHICH);
    }
    let message = format!("there is no type called \"{name}\"");
    let error = SqlError::new("42704", message).about(name);
    match nearest(name, KNOWN.into_iter()) {
        Some(similar) => error.with_hint(format!("is {similar} meant?")),
        None => error.with_hint(WHICH),
    }
}

const WHICH: &str = "use BOOLEAN, SMALLINT, INT, BIGINT, REAL, DOUBLE, NUMERIC(p, s), TEXT, BYTEA, \
                     DATE, TIME, TIMESTAMP or TIMESTAMPTZ";

/// The SQL name of a type, as `CREATE TABLE` takes it where a table can have it.
pub fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "SMALLINT".to_owned(),
        DataType::Int32 | DataType::UInt16 => "INTEGER".to_owned(),
        // Positions and counts, which are BIGINT in Postgres.
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "BIGINT".to_owned(),
        DataType::Float16 | DataType::Float32 => "REAL".to_owned(),
        DataType::Float64 => "DOUBLE PRECISION".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("NUMERIC({precision}, {scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT".to_owned(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "BYTEA".to_owned(),
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        DataType::Dictionary(_, values) => sql_name(values),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item) => format!("{}[]", sql_name(item.data_type())),
        DataType::Null => "UNKNOWN".to_owned(),
        other => other.to_string().to_uppercase(),
    }
}

/// Types of casts and literals that are those of columns: `TIME` is in microseconds, so that it meets
/// a column in `coalesce`, CASE and UNION. DataFusion would take nanoseconds.
#[derive(Debug)]
pub struct TypesOfColumns;

impl TypePlanner for TypesOfColumns {
    fn plan_type_field(&self, written: &SqlType) -> DataFusionResult<Option<FieldRef>> {
        Ok(match written {
            SqlType::Time(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                let time = DataType::Time64(TimeUnit::Microsecond);
                Some(Arc::new(Field::new("", time, true)))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_type_has_are_told_from_types_that_are_not_supported() {
        for (written, state, hint) in [
            ("nosuchtype", "42704", "use BOOLEAN"),
            ("intger", "42704", "is integer meant?"),
            ("bigit(3)", "42704", "is bigint meant?"),
            ("DATETIME", "42704", "use BOOLEAN"),
            ("\"Text2\"", "42704", "is text meant?"),
            ("UUID", "0A000", "use BOOLEAN"),
            ("TIMESTAMP(2)", "0A000", "use BOOLEAN"),
            ("TIME WITH TIME ZONE", "0A000", "use BOOLEAN"),
        ] {
            let error = refusal(written);
            assert_eq!(error.sqlstate, state, "{written}: {error}");
            let told = error.hint.unwrap_or_default();
            assert!(told.starts_with(hint), "{written}: {told}");
        }
    }
}
