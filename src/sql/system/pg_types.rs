//! Postgres's types and the numbers that clients know them by.

use arrow::datatypes::DataType;

use super::facts::oid_of;

/// A type as `pg_type` lists it.
pub(super) struct PgType {
    pub(super) oid: i32,
    pub(super) name: &'static str,
    /// As `format_type` writes it.
    pub(super) formatted: &'static str,
    /// Bytes; −1: it varies.
    pub(super) length: i64,
    pub(super) category: &'static str,
    pub(super) array: i32,
    /// For the array of another type: that type.
    pub(super) element: i32,
}

const fn simple(
    oid: i32,
    name: &'static str,
    formatted: &'static str,
    length: i64,
    category: &'static str,
    array: i32,
) -> PgType {
    PgType {
        oid,
        name,
        formatted,
        length,
        category,
        array,
        element: 0,
    }
}

const fn array(oid: i32, name: &'static str, formatted: &'static str, element: i32) -> PgType {
    PgType {
        oid,
        name,
        formatted,
        length: -1,
        category: "A",
        array: 0,
        element,
    }
}

/// The types that columns, parameters and system tables have.
pub(super) const TYPES: &[PgType] = &[
    simple(16, "bool", "boolean", 1, "B", 1000),
    simple(17, "bytea", "bytea", -1, "U", 1001),
    simple(18, "char", "\"char\"", 1, "Z", 1002),
    simple(19, "name", "name", 64, "S", 1003),
    simple(20, "int8", "bigint", 8, "N", 1016),
    simple(21, "int2", "smallint", 2, "N", 1005),
    simple(23, "int4", "integer", 4, "N", 1007),
    simple(24, "regproc", "regproc", 4, "N", 1008),
    simple(25, "text", "text", -1, "S", 1009),
    simple(26, "oid", "oid", 4, "N", 1028),
    simple(114, "json", "json", -1, "U", 199),
    simple(700, "float4", "real", 4, "N", 1021),
    simple(701, "float8", "double precision", 8, "N", 1022),
    simple(705, "unknown", "unknown", -2, "X", 0),
    simple(1042, "bpchar", "character", -1, "S", 1014),
    simple(1043, "varchar", "character varying", -1, "S", 1015),
    simple(1082, "date", "date", 4, "D", 1182),
    simple(1083, "time", "time without time zone", 8, "D", 1183),
    simple(
        1114,
        "timestamp",
        "timestamp without time zone",
        8,
        "D",
        1115,
    ),
    simple(
        1184,
        "timestamptz",
        "timestamp with time zone",
        8,
        "D",
        1185,
    ),
    simple(1186, "interval", "interval", 16, "T", 1187),
    simple(1700, "numeric", "numeric", -1, "N", 1231),
    simple(2205, "regclass", "regclass", 4, "N", 2210),
    simple(2206, "regtype", "regtype", 4, "N", 2211),
    simple(2249, "record", "record", -1, "P", 2287),
    simple(2950, "uuid", "uuid", 16, "U", 2951),
    simple(3802, "jsonb", "jsonb", -1, "U", 3807),
    array(1000, "_bool", "boolean[]", 16),
    array(1001, "_bytea", "bytea[]", 17),
    array(1005, "_int2", "smallint[]", 21),
    array(1007, "_int4", "integer[]", 23),
    array(1009, "_text", "text[]", 25),
    array(1016, "_int8", "bigint[]", 20),
    array(1021, "_float4", "real[]", 700),
    array(1022, "_float8", "double precision[]", 701),
    array(1115, "_timestamp", "timestamp without time zone[]", 1114),
    array(1182, "_date", "date[]", 1082),
    array(1183, "_time", "time without time zone[]", 1083),
    array(1185, "_timestamptz", "timestamp with time zone[]", 1184),
    array(1231, "_numeric", "numeric[]", 1700),
];

pub(super) fn by_oid(oid: i64) -> Option<&'static PgType> {
    TYPES.iter().find(|found| i64::from(found.oid) == oid)
}

/// A type by any of its names.
pub(super) fn by_name(name: &str) -> Option<&'static PgType> {
    let name = name.trim().trim_start_matches("pg_catalog.").to_lowercase();
    let name = name.trim_matches('"');
    let mut types = TYPES.iter();
    types.find(|found| found.name == name || found.formatted == name)
}

/// The Postgres type of a column, as clients are told, and its modifier (−1: none).
pub(super) fn of_column(data_type: &DataType) -> (&'static PgType, i64) {
    let (oid, modifier) = match data_type {
        DataType::Boolean => (16, -1),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => (21, -1),
        DataType::Int32 | DataType::UInt16 => (23, -1),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => (20, -1),
        DataType::Float16 | DataType::Float32 => (700, -1),
        DataType::Float64 => (701, -1),
        DataType::Decimal128(precision, scale) if *scale >= 0 => (
            1700,
            ((i64::from(*precision) << 16) | i64::from(*scale)) + 4,
        ),
        DataType::Decimal128(..)
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal256(..) => (1700, -1),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => (17, -1),
        DataType::Date32 | DataType::Date64 => (1082, -1),
        DataType::Time32(_) | DataType::Time64(_) => (1083, -1),
        DataType::Timestamp(_, None) => (1114, -1),
        DataType::Timestamp(_, Some(_)) => (1184, -1),
        DataType::Interval(_) | DataType::Duration(_) => (1186, -1),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            match of_column(item.data_type()).0.array {
                0 => (25, -1),
                array => (array, -1),
            }
        }
        DataType::Dictionary(_, values) => return of_column(values),
        _ => (25, -1),
    };
    // Every number above is in the list, and text stands in for what is not.
    let found = by_oid(i64::from(oid)).unwrap_or(&TYPES[8]);
    (found, modifier)
}

/// The name of a type with its modifier.
pub(super) fn format_type(oid: i64, modifier: Option<i64>) -> String {
    let Some(found) = by_oid(oid) else {
        return "???".to_owned();
    };
    match modifier {
        Some(modifier) if found.oid == 1700 && modifier >= 4 => {
            let packed = modifier - 4;
            format!("numeric({},{})", packed >> 16, packed & 0xffff)
        }
        _ => found.formatted.to_owned(),
    }
}

/// The number of one of Postgres's own tables: those that clients have fixed, or one of ours.
pub(super) fn catalog_oid(name: &str) -> i32 {
    match name {
        "pg_type" => 1247,
        "pg_attribute" => 1249,
        "pg_proc" => 1255,
        "pg_class" => 1259,
        "pg_database" => 1262,
        "pg_namespace" => 2615,
        "pg_constraint" => 2606,
        other => oid_of(other),
    }
}
