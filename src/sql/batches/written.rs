//! Calls that drawing would hardly find: parts, patterns, formats and names of types must be
//! constants, or fit the other arguments. Columns have the names of their [kinds](super::values).

/// Operators between any two columns.
pub const OPERATORS: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "=",
    "<>",
    "<",
    ">=",
    "||",
    "&",
    "|",
    "#",
    "<<",
    ">>",
    "LIKE",
    "NOT ILIKE",
    "~",
    "~*",
    "!~",
    "AND",
    "OR",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
    "@>",
    "<@",
    "&&",
    "->",
    "->>",
    "?",
];

/// Types that columns are cast to.
pub const CAST_TO: &[&str] = &[
    "SMALLINT",
    "INT",
    "BIGINT",
    "REAL",
    "DOUBLE PRECISION",
    "NUMERIC(10, 2)",
    "NUMERIC(38, 10)",
    "TEXT",
    "BYTEA",
    "BOOLEAN",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "INTERVAL",
    "BIGINT[]",
    "TEXT[]",
];

/// Other forms.
pub fn forms() -> impl Iterator<Item = &'static str> {
    include_str!("forms.txt").lines()
}

/// Calls of functions, with the function's name.
pub fn calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = include_str!("functions.txt").lines();
    all.map(|call| (call.split('(').next().unwrap_or(call), call))
}
