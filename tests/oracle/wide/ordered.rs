//! Random views that depend on an order of rows: first rows, window functions and their frames.

use arrow::datatypes::DataType;

use super::grammar::{Column, Grammar};

/// Bounds of frames between which rows come and go; `{}` is a distance.
const NEAR: [&str; 5] = [
    "{} PRECEDING AND {} FOLLOWING",
    "{} PRECEDING AND CURRENT ROW",
    "CURRENT ROW AND {} FOLLOWING",
    "UNBOUNDED PRECEDING AND {} FOLLOWING",
    "{} PRECEDING AND UNBOUNDED FOLLOWING",
];

/// Whether DataFusion has windows whose first order it is.
fn may_order_windows(column: &&Column) -> bool {
    !matches!(
        column.data_type,
        DataType::Binary | DataType::Time64(_) | DataType::List(_)
    )
}

impl Grammar<'_> {
    /// An order of all columns, so that it is the same on every run.
    fn order(&mut self, columns: &[Column]) -> String {
        let first = self.below(columns.len());
        self.order_from(columns, first)
    }

    /// The same for a window.
    fn window_order(&mut self, columns: &[Column]) -> String {
        let first = self.window_key(columns).name;
        let first = columns.iter().position(|column| column.name == first);
        self.order_from(columns, first.unwrap_or(0))
    }

    fn window_key(&mut self, columns: &[Column]) -> Column {
        let keys: Vec<Column> = columns.iter().filter(may_order_windows).cloned().collect();
        self.column(&keys)
    }

    fn order_from(&mut self, columns: &[Column], first: usize) -> String {
        let mut keys: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        keys.swap(0, first);
        for key in &mut keys {
            *key += self.pick(&["", " DESC", " DESC NULLS LAST", " NULLS FIRST"]);
        }
        keys.join(", ")
    }

    fn partition(&mut self, columns: &[Column]) -> String {
        match self.below(3) {
            0 => String::new(),
            _ => format!("PARTITION BY {} ", self.column(columns).name),
        }
    }

    pub(super) fn first_rows(&mut self) -> String {
        let (relation, columns) = self.relation("q", 0);
        let (limit, offset) = (1 + self.below(5), self.below(3));
        match self.below(3) {
            0 => {
                let order = self.order(&columns);
                format!("SELECT * FROM {relation} ORDER BY {order} LIMIT {limit} OFFSET {offset}")
            }
            1 => {
                let (key, order) = (self.column(&columns).name, self.window_order(&columns));
                format!(
                    "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {order}) AS n FROM {relation}) WHERE n <= {limit}"
                )
            }
            _ => {
                // DataFusion asserts that no column stands twice in the order.
                let key = self.column(&columns).name;
                let others = columns.iter().filter(|column| column.name != key);
                let others: Vec<Column> = others.cloned().collect();
                let order = match others.is_empty() {
                    true => key.clone(),
                    false => format!("{key}, {}", self.order(&others)),
                };
                format!("SELECT DISTINCT ON ({key}) * FROM {relation} ORDER BY {order}")
            }
        }
    }

    /// Rows that a window function chooses.
    pub(super) fn qualified(&mut self) -> String {
        let (relation, columns) = self.relation("q", 0);
        let partition = self.partition(&columns);
        let most = 1 + self.below(3);
        let test = match self.below(4) {
            0 => {
                let order = self.window_order(&columns);
                format!("row_number() OVER ({partition}ORDER BY {order}) <= {most}")
            }
            1 => format!("count(*) OVER ({partition}) > {most}"),
            _ => {
                let function = self.pick(&["rank", "dense_rank"]);
                let key = self.window_key(&columns).name;
                let direction = self.pick(&["", " DESC", " NULLS FIRST"]);
                let operator = self.pick(&["<=", "<", "="]);
                format!(
                    "{function}() OVER ({partition}ORDER BY {key}{direction}) {operator} {most}"
                )
            }
        };
        format!("SELECT * FROM {relation} QUALIFY {test}")
    }

    pub(super) fn windows(&mut self) -> String {
        let (relation, columns) = self.relation("q", 0);
        let order = self.window_order(&columns);
        let (key, value) = (self.window_key(&columns).name, self.column(&columns).name);
        let partition = self.partition(&columns);
        let function = match self.below(8) {
            0 => "row_number()".to_owned(),
            1 => format!("lag({value})"),
            2 => format!("lead({value}, 2)"),
            3 => format!("first_value({value})"),
            4 => format!("nth_value({value}, 2)"),
            5 => "percent_rank()".to_owned(),
            6 => "cume_dist()".to_owned(),
            _ => "ntile(2)".to_owned(),
        };
        let aggregate = self.aggregate(&columns).name;
        let aggregate = match aggregate.contains("DISTINCT")
            || aggregate.contains("ORDER BY")
            || aggregate.contains("FILTER")
        {
            true => "count(*)".to_owned(),
            false => aggregate,
        };
        let frame = self.pick(&[
            "",
            " ROWS UNBOUNDED PRECEDING",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING",
        ]);
        format!(
            "SELECT *, {function} OVER ({partition}ORDER BY {order}) AS f, rank() OVER ({partition}ORDER BY {key}) AS r, {aggregate} OVER ({partition}ORDER BY {order}{frame}) AS g FROM {relation}"
        )
    }

    /// An aggregate over the rows whose number or time is near.
    pub(super) fn near_rows(&mut self) -> String {
        let (relation, columns) = self.relation("q", 0);
        let keys = columns.iter().filter(|column| {
            matches!(
                column.data_type,
                DataType::Int32 | DataType::Int64 | DataType::Date32 | DataType::Timestamp(..)
            )
        });
        let keys: Vec<Column> = keys.cloned().collect();
        let key = self.column(&keys);
        let mut frame = self.pick(&NEAR).to_owned();
        while frame.contains("{}") {
            let distance = match key.data_type {
                DataType::Date32 => self.pick(&["INTERVAL '1 day'", "INTERVAL '1 month'"]),
                DataType::Timestamp(..) => self.pick(&["INTERVAL '1 hour'", "INTERVAL '365 days'"]),
                _ => self.pick(&["0", "1", "2", "3"]),
            };
            frame = frame.replacen("{}", distance, 1);
        }
        let name = key.name;
        let by = match key.data_type.is_integer() {
            true => format!("CAST({name} AS BIGINT)"),
            false => name.clone(),
        };
        let (aggregate, partition) = (self.sliding(&columns), self.partition(&columns));
        let direction = self.pick(&["", " DESC"]);
        format!(
            "SELECT *, {aggregate} OVER ({partition}ORDER BY {by}{direction} RANGE BETWEEN {frame}) AS g FROM {relation} WHERE {name} IS NOT NULL"
        )
    }

    /// An aggregate that is the same in any order of rows, also after some have left it: sums of
    /// doubles are not.
    fn sliding(&mut self, columns: &[Column]) -> String {
        let values = columns.iter().filter(|column| {
            !column.data_type.is_floating() && column.data_type != DataType::Boolean
        });
        let values: Vec<Column> = values.cloned().collect();
        let value = self.column(&values);
        let has_sum =
            value.data_type.is_integer() || matches!(value.data_type, DataType::Decimal128(..));
        let function = match self.below(5) {
            0 => return "count(*)".to_owned(),
            1 => "min",
            2 => "max",
            3 if has_sum => "sum",
            _ => "count",
        };
        format!("{function}({})", value.name)
    }
}
