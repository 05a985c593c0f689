//! Random views over random tables: expressions of every type under every kind of operator. Those
//! that depend on an order are in `ordered.rs`, those on time in `timed.rs`.

use arrow::datatypes::DataType;
use rand::RngExt;
use rand_pcg::Pcg64;

use super::table::Table;

/// A column of a relation that a query reads.
#[derive(Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// `Null`: a type that does not matter, or that nobody has worked out.
    pub(super) data_type: DataType,
}

impl Column {
    /// Whether other values of its type are known, and have an order.
    fn is_plain(&self) -> bool {
        self.data_type != DataType::Null && !self.data_type.is_nested()
    }

    /// Whether it is of the same type as another.
    pub(super) fn may_meet(&self, other: &Column) -> bool {
        self.is_plain() && self.data_type == other.data_type
    }
}

/// A random view over two tables of what DataFusion does not plan, and the same in its words.
pub fn timed_view(tables: &[Table], random: &mut Pcg64) -> (String, String) {
    Grammar { tables, random }.timed()
}

/// A random view over two tables.
pub fn view(tables: &[Table], random: &mut Pcg64) -> String {
    let mut grammar = Grammar { tables, random };
    match grammar.below(12) {
        0 => grammar.rows(),
        1 | 2 => grammar.groups(),
        3 => grammar.pairs(),
        4 => grammar.sets(),
        5 => grammar.first_rows(),
        6 => grammar.windows(),
        7 => grammar.grouped_pairs(),
        8 => grammar.grouping_sets(),
        9 => grammar.near_rows(),
        10 => grammar.qualified(),
        _ => grammar.with_subquery(),
    }
}

pub(super) struct Grammar<'g> {
    tables: &'g [Table],
    random: &'g mut Pcg64,
}

impl Grammar<'_> {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    pub(super) fn pick<'c>(&mut self, choices: &[&'c str]) -> &'c str {
        choices[self.below(choices.len())]
    }

    fn table(&mut self) -> Table {
        let table = self.below(self.tables.len());
        self.tables[table].clone()
    }

    pub(super) fn column(&mut self, columns: &[Column]) -> Column {
        columns[self.below(columns.len())].clone()
    }

    /// A value made of columns, with its type.
    fn value(&mut self, columns: &[Column]) -> Column {
        let column = self.column(columns);
        let name = column.name;
        let (text, data_type) = match &column.data_type {
            DataType::Boolean => match self.below(3) {
                0 => (format!("NOT {name}"), DataType::Boolean),
                1 => (
                    format!("CASE WHEN {name} THEN 'yes' ELSE 'no' END"),
                    DataType::Utf8,
                ),
                _ => (name, DataType::Boolean),
            },
            DataType::Int16 | DataType::Int32 | DataType::Int64 => {
                self.number(name, &column.data_type)
            }
            DataType::Float32 | DataType::Float64 => match self.below(4) {
                0 => (format!("{name} * 2.0"), DataType::Float64),
                1 => (format!("nullif({name}, 0.5)"), column.data_type),
                2 => (format!("floor(CAST({name} AS DOUBLE))"), DataType::Float64),
                _ => (name, column.data_type),
            },
            DataType::Decimal128(..) => match self.below(4) {
                0 => (format!("round({name}, 1)"), DataType::Null),
                1 => (format!("CAST({name} AS DOUBLE)"), DataType::Float64),
                2 => (format!("abs({name})"), DataType::Null),
                _ => (name, column.data_type),
            },
            DataType::Utf8 => self.text(name),
            DataType::Binary => match self.below(3) {
                0 => (format!("encode({name}, 'hex')"), DataType::Utf8),
                1 => (
                    format!("character_length(encode({name}, 'hex'))"),
                    DataType::Null,
                ),
                _ => (name, DataType::Binary),
            },
            DataType::Date32 => match self.below(4) {
                0 => (format!("date_part('dow', {name})"), DataType::Null),
                1 => (format!("{name} - DATE '2020-01-01'"), DataType::Null),
                2 => (format!("to_char({name}, '%Y-%m')"), DataType::Utf8),
                _ => (name, DataType::Date32),
            },
            DataType::Timestamp(_, zone) => self.time(name, zone.is_some(), &column.data_type),
            other => (name, other.clone()),
        };
        Column {
            name: text,
            data_type,
        }
    }

    fn number(&mut self, name: String, data_type: &DataType) -> (String, DataType) {
        match self.below(6) {
            0 => (format!("CAST({name} AS BIGINT) + 1"), DataType::Int64),
            1 => (format!("CAST({name} AS TEXT)"), DataType::Utf8),
            2 => (format!("abs(CAST({name} AS BIGINT)) % 3"), DataType::Int64),
            3 => (
                format!("CASE {name} WHEN 0 THEN NULL WHEN 1 THEN 'one' ELSE 'many' END"),
                DataType::Utf8,
            ),
            4 => (format!("coalesce({name}, 0)"), DataType::Null),
            _ => (name, data_type.clone()),
        }
    }

    fn text(&mut self, name: String) -> (String, DataType) {
        match self.below(9) {
            0 => (format!("upper({name})"), DataType::Utf8),
            1 => (format!("character_length({name})"), DataType::Null),
            2 => (format!("{name} || '!'"), DataType::Utf8),
            3 => (format!("TRY_CAST({name} AS BIGINT)"), DataType::Int64),
            4 => (format!("{name} ->> 'a'"), DataType::Utf8),
            5 => (format!("json_get_int({name}, 0)"), DataType::Int64),
            6 => (format!("substr({name}, 1, 1)"), DataType::Utf8),
            7 => (format!("nullif({name}, '')"), DataType::Utf8),
            _ => (name, DataType::Utf8),
        }
    }

    fn time(&mut self, name: String, has_zone: bool, data_type: &DataType) -> (String, DataType) {
        match self.below(6) {
            0 => (format!("date_trunc('day', {name})"), DataType::Null),
            1 => (format!("date_part('hour', {name})"), DataType::Null),
            2 => (format!("CAST({name} AS DATE)"), DataType::Date32),
            3 if has_zone => (
                format!("date_trunc('day', {name} AT TIME ZONE 'Europe/Berlin')"),
                DataType::Null,
            ),
            3 | 4 => (format!("{name} + INTERVAL '1 month'"), DataType::Null),
            _ => (name, data_type.clone()),
        }
    }

    fn condition(&mut self, columns: &[Column]) -> String {
        let (one, two) = (self.column(columns), self.column(columns));
        let name = &one.name;
        match self.below(8) {
            0 => format!("{name} IS NOT NULL"),
            1 => format!("{name} IS NULL OR {} IS NOT NULL", two.name),
            2 if one.may_meet(&two) => {
                let operator = self.pick(&["=", "<>", "<", ">=", "IS DISTINCT FROM"]);
                format!("{name} {operator} {}", two.name)
            }
            3 if one.data_type == DataType::Utf8 => {
                let pattern = self.pick(&["a%", "%", "_", "%b%", "A_"]);
                let like = self.pick(&["LIKE", "NOT LIKE", "ILIKE"]);
                format!("{name} {like} '{pattern}'")
            }
            4 if one.data_type.is_integer() => format!("{name} BETWEEN 0 AND 2"),
            5 if one.data_type.is_integer() => format!("{name} NOT IN (1, 3)"),
            6 if one.data_type.is_floating() => format!("{name} > 0.5"),
            _ => "true".to_owned(),
        }
    }

    /// A relation: its text, and its columns as a query of the given name sees them.
    pub(super) fn relation(&mut self, alias: &str, depth: usize) -> (String, Vec<Column>) {
        let table = self.table();
        let columns = table.schema.fields().iter().map(|field| Column {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
        });
        let columns: Vec<Column> = columns.collect();
        let (text, columns) = match self.below(if depth == 0 { 1 } else { 4 }) {
            1 => {
                let values: Vec<Column> = (0..3).map(|_| self.value(&columns)).collect();
                let condition = self.condition(&columns);
                let distinct = self.pick(&["", "DISTINCT "]);
                let listed = listed(&values, "v");
                let text = format!(
                    "(SELECT {distinct}{listed} FROM {} WHERE {condition})",
                    table.name
                );
                (text, named(&values, "v"))
            }
            2 => {
                let (inner, inner_columns) = self.relation("i", depth - 1);
                let key = self.column(&inner_columns);
                let aggregates: Vec<Column> =
                    (0..2).map(|_| self.aggregate(&inner_columns)).collect();
                let listed = listed(&aggregates, "v");
                let text = format!(
                    "(SELECT {} AS k, {listed} FROM {inner} GROUP BY 1)",
                    key.name
                );
                let mut columns = named(&aggregates, "v");
                columns.push(Column {
                    name: "k".to_owned(),
                    data_type: key.data_type,
                });
                (text, columns)
            }
            _ => (table.name.clone(), columns),
        };
        let columns = columns.into_iter().map(|column| Column {
            name: format!("{alias}.{}", column.name),
            data_type: column.data_type,
        });
        (format!("{text} AS {alias}"), columns.collect())
    }

    /// An aggregate with the type of its result, as far as that matters.
    pub(super) fn aggregate(&mut self, columns: &[Column]) -> Column {
        let column = self.column(columns);
        let is_plain = column.is_plain();
        let name = column.name;
        let is_number = column.data_type.is_integer() || column.data_type.is_floating();
        let is_decimal = matches!(column.data_type, DataType::Decimal128(..));
        let (text, data_type) = match self.below(13) {
            0 => ("count(*)".to_owned(), DataType::Int64),
            1 => (format!("count({name})"), DataType::Int64),
            2 => (format!("count(DISTINCT {name})"), DataType::Int64),
            3 | 4 if is_plain => (format!("min({name})"), column.data_type),
            5 | 6 if is_plain => (format!("max({name})"), column.data_type),
            7 if is_number || is_decimal => (format!("sum({name})"), DataType::Null),
            8 if column.data_type == DataType::Float64 || is_decimal => {
                (format!("avg({name})"), DataType::Null)
            }
            9 if column.data_type == DataType::Boolean => {
                let function = self.pick(&["bool_and", "bool_or"]);
                (format!("{function}({name})"), DataType::Boolean)
            }
            9 if column.data_type == DataType::Utf8 => (
                format!("string_agg({name}, ',' ORDER BY {name})"),
                DataType::Utf8,
            ),
            // Views do not order by lists.
            _ if column.data_type.is_nested() => (format!("count({name})"), DataType::Int64),
            10 => match self.below(2) {
                0 => (
                    format!("array_agg({name} ORDER BY {name})"),
                    DataType::new_list(column.data_type, true),
                ),
                _ => (format!("json_agg({name} ORDER BY {name})"), DataType::Utf8),
            },
            12 if is_plain => (format!("mode({name})"), column.data_type),
            11 if is_number => (format!("sum(DISTINCT {name})"), DataType::Null),
            _ => (
                format!("first_value({name} ORDER BY {name} DESC NULLS LAST)"),
                column.data_type,
            ),
        };
        let filter = match self.below(5) {
            0 => format!(" FILTER (WHERE {})", self.condition(columns)),
            _ => String::new(),
        };
        Column {
            name: format!("{text}{filter}"),
            data_type,
        }
    }

    fn rows(&mut self) -> String {
        let (relation, columns) = self.relation("q", 2);
        let count = 2 + self.below(4);
        let values: Vec<Column> = (0..count).map(|_| self.value(&columns)).collect();
        let condition = self.condition(&columns);
        let distinct = self.pick(&["", "", "DISTINCT "]);
        format!(
            "SELECT {distinct}{} FROM {relation} WHERE {condition}",
            listed(&values, "v")
        )
    }

    fn groups(&mut self) -> String {
        let (relation, columns) = self.relation("q", 2);
        self.grouped(&relation, &columns)
    }

    fn grouped(&mut self, relation: &str, columns: &[Column]) -> String {
        let count = 1 + self.below(2);
        let keys: Vec<Column> = (0..count).map(|_| self.value(columns)).collect();
        let count = 1 + self.below(4);
        let aggregates: Vec<Column> = (0..count).map(|_| self.aggregate(columns)).collect();
        let positions: Vec<String> = (1..=keys.len()).map(|key| key.to_string()).collect();
        let (keys, aggregates) = (listed(&keys, "k"), listed(&aggregates, "v"));
        let having = self.pick(&["", "", " HAVING count(*) > 1"]);
        match self.below(6) {
            0 => format!("SELECT {aggregates} FROM {relation}"),
            _ => format!(
                "SELECT {keys}, {aggregates} FROM {relation} GROUP BY {}{having}",
                positions.join(", ")
            ),
        }
    }

    /// Groups of several groupings at once.
    fn grouping_sets(&mut self) -> String {
        let (relation, columns) = self.relation("q", 1);
        let keys = columns.iter().filter(|key| !key.data_type.is_nested());
        let keys: Vec<Column> = keys.cloned().collect();
        let (one, other) = (self.column(&keys).name, self.column(&keys).name);
        let count = 1 + self.below(3);
        let aggregates: Vec<Column> = (0..count).map(|_| self.aggregate(&columns)).collect();
        let aggregates = listed(&aggregates, "v");
        let having = self.pick(&["", "", " HAVING count(*) > 1"]);
        if one == other {
            let sets = self.pick(&["ROLLUP", "CUBE"]);
            return format!(
                "SELECT {one} AS k0, grouping({one}) AS g, {aggregates} FROM {relation} GROUP BY {sets} ({one}){having}"
            );
        }
        let sets = match self.below(5) {
            0 => format!("ROLLUP ({one}, {other})"),
            1 => format!("CUBE ({one}, {other})"),
            2 => format!("GROUPING SETS (({one}, {other}), ({other}), ())"),
            3 => format!("GROUPING SETS (({one}), ({other}))"),
            _ => format!("{one}, ROLLUP ({other})"),
        };
        format!(
            "SELECT {one} AS k0, {other} AS k1, grouping({other}) AS g, {aggregates} FROM {relation} GROUP BY {sets}{having}"
        )
    }

    /// A join, on columns of one type where there are some.
    fn join(&mut self) -> (String, Vec<Column>) {
        let ((left, mut columns), (right, others)) = (self.relation("p", 1), self.relation("q", 1));
        let pairs: Vec<(String, String)> = columns
            .iter()
            .flat_map(|one| others.iter().map(move |other| (one, other)))
            .filter(|(one, other)| one.may_meet(other))
            .map(|(one, other)| (one.name.clone(), other.name.clone()))
            .collect();
        let kind = self.pick(&[
            "JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "LEFT SEMI JOIN",
            "LEFT ANTI JOIN",
        ]);
        let mut conditions = Vec::new();
        if !pairs.is_empty() {
            for _ in 0..1 + self.below(2) {
                let (one, other) = &pairs[self.below(pairs.len())];
                let operator = self.pick(&["=", "=", "=", "IS NOT DISTINCT FROM", "<"]);
                conditions.push(format!("{one} {operator} {other}"));
            }
        }
        let on = match conditions.is_empty() {
            true => "true".to_owned(),
            false => conditions.join(" AND "),
        };
        if !kind.contains("SEMI") && !kind.contains("ANTI") {
            columns.extend(others);
        }
        (format!("{left} {kind} {right} ON {on}"), columns)
    }

    fn pairs(&mut self) -> String {
        let (joined, columns) = self.join();
        let values: Vec<Column> = (0..4).map(|_| self.value(&columns)).collect();
        format!("SELECT {} FROM {joined}", listed(&values, "v"))
    }

    fn grouped_pairs(&mut self) -> String {
        let (joined, columns) = self.join();
        self.grouped(&joined, &columns)
    }

    fn sets(&mut self) -> String {
        let (one, columns) = self.relation("p", 1);
        let value = self.value(&columns);
        let (other, others) = self.relation("q", 1);
        let same: Vec<&Column> = others
            .iter()
            .filter(|column| column.may_meet(&value))
            .collect();
        let operation = self.pick(&[
            "UNION",
            "UNION ALL",
            "EXCEPT",
            "INTERSECT",
            "EXCEPT ALL",
            "INTERSECT ALL",
        ]);
        match same.is_empty() {
            true => format!(
                "SELECT {v} AS v0 FROM {one} {operation} SELECT {v} FROM {one}",
                v = value.name
            ),
            false => {
                let chosen = &same[self.below(same.len())].name;
                format!(
                    "SELECT {} AS v0 FROM {one} {operation} SELECT {chosen} FROM {other}",
                    value.name
                )
            }
        }
    }

    fn with_subquery(&mut self) -> String {
        let ((outer, columns), (inner, others)) = (self.relation("o", 1), self.relation("i", 1));
        let pairs: Vec<(&Column, &Column)> = columns
            .iter()
            .flat_map(|one| others.iter().map(move |other| (one, other)))
            .filter(|(one, other)| one.may_meet(other))
            .collect();
        let values: Vec<Column> = (0..3).map(|_| self.value(&columns)).collect();
        let listed = listed(&values, "v");
        if pairs.is_empty() {
            return format!("SELECT {listed}, (SELECT count(*) FROM {inner}) AS n FROM {outer}");
        }
        let (one, other) = pairs[self.below(pairs.len())];
        let (one, other) = (&one.name, &other.name);
        match self.below(5) {
            0 => {
                format!("SELECT {listed} FROM {outer} WHERE {one} IN (SELECT {other} FROM {inner})")
            }
            1 => format!(
                "SELECT {listed} FROM {outer} WHERE {one} NOT IN (SELECT {other} FROM {inner})"
            ),
            2 => format!(
                "SELECT {listed} FROM {outer} WHERE EXISTS (SELECT 1 FROM {inner} WHERE {other} = {one})"
            ),
            3 => format!(
                "SELECT {listed} FROM {outer} WHERE NOT EXISTS (SELECT 1 FROM {inner} WHERE {other} = {one})"
            ),
            _ => format!(
                "SELECT {listed}, (SELECT count(*) FROM {inner} WHERE {other} = {one}) AS n FROM {outer}"
            ),
        }
    }
}

/// Values as columns with names.
pub(super) fn listed(values: &[Column], prefix: &str) -> String {
    let columns = values.iter().enumerate();
    let columns = columns.map(|(number, value)| format!("{} AS {prefix}{number}", value.name));
    columns.collect::<Vec<_>>().join(", ")
}

/// The columns that those are for a query around.
fn named(values: &[Column], prefix: &str) -> Vec<Column> {
    let columns = values.iter().enumerate();
    columns
        .map(|(number, value)| Column {
            name: format!("{prefix}{number}"),
            data_type: value.data_type.clone(),
        })
        .collect()
}
