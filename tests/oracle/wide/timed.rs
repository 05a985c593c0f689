//! Relations that DataFusion has not, ASOF joins and windows of time, with the same in its words.

use arrow::datatypes::DataType;

use super::grammar::{Column, Grammar, listed};

/// A view, and a query that says the same without them.
type Pair = (String, String);

impl Grammar<'_> {
    /// A window of time of each row where there is a time, else a join with the newest row.
    pub(super) fn timed(&mut self) -> Pair {
        let (relation, columns) = self.relation("q", 0);
        let times = columns
            .iter()
            .filter(|column| matches!(column.data_type, DataType::Timestamp(..)));
        let times: Vec<Column> = times.cloned().collect();
        match times.is_empty() || self.below(2) == 0 {
            true => self.as_of(),
            false => {
                let time = self.column(&times).name;
                self.tumble(&relation, &columns, &time)
            }
        }
    }

    fn tumble(&mut self, relation: &str, columns: &[Column], time: &str) -> Pair {
        let size = self.pick(&["1 hour", "1 day", "7 days"]);
        let listed = listed(columns, "v");
        let table = relation.trim_end_matches(" AS q");
        let column = time.trim_start_matches("q.");
        let start = format!("date_bin(INTERVAL '{size}', {time})");
        (
            format!(
                "SELECT {listed}, q.window_start AS s, q.window_end AS e FROM tumble({table}, {column}, INTERVAL '{size}') AS q"
            ),
            format!(
                "SELECT {listed}, {start} AS s, {start} + INTERVAL '{size}' AS e FROM {relation} WHERE {time} IS NOT NULL"
            ),
        )
    }

    /// The partner of a left row is, of those that its time admits, the nearest in time, and of
    /// those the greatest.
    fn as_of(&mut self) -> Pair {
        let ((left, columns), (right, others)) = (self.relation("p", 0), self.relation("q", 0));
        // The two zeros of a double are one key.
        let may_be_key = |column: &Column| !column.data_type.is_floating();
        let may_be_time = |column: &Column| {
            column.data_type.is_integer()
                || matches!(
                    column.data_type,
                    DataType::Date32 | DataType::Timestamp(..) | DataType::Decimal128(..)
                )
        };
        let (key, other_key) = self.met(&columns, &others, may_be_key);
        let (time, other_time) = self.met(&columns, &others, may_be_time);
        let operator = self.pick(&[">=", ">", "<=", "<"]);
        let direction = match operator.starts_with('>') {
            true => "DESC",
            false => "ASC",
        };
        let (of_left, of_right) = (listed(&columns, "l"), listed(&others, "r"));
        let names = (0..others.len()).map(|number| format!("best.r{number}"));
        let names = names.collect::<Vec<_>>().join(", ");
        let ties = others.iter().filter(|column| column.name != other_time);
        let ties: String = ties
            .map(|column| format!(", {} DESC NULLS LAST", column.name))
            .collect();
        (
            format!(
                "SELECT {of_left}, {of_right} FROM {left} ASOF JOIN {right} MATCH_CONDITION ({time} {operator} {other_time}) ON {key} = {other_key}"
            ),
            format!(
                "SELECT {of_left}, {names} FROM {left} LEFT JOIN (SELECT * FROM (SELECT i.k, i.t, {of_right}, row_number() OVER (PARTITION BY i.k, i.t ORDER BY {other_time} {direction}{ties}) AS n FROM (SELECT DISTINCT {key} AS k, {time} AS t FROM {left}) AS i JOIN {right} ON i.k = {other_key} AND i.t {operator} {other_time}) AS m WHERE n = 1) AS best ON best.k = {key} AND best.t = {time}"
            ),
        )
    }

    /// The names of two columns of one type, of which the first ones of two tables always are.
    fn met(
        &mut self,
        columns: &[Column],
        others: &[Column],
        may_be: impl Fn(&Column) -> bool,
    ) -> (String, String) {
        let pairs = columns
            .iter()
            .flat_map(|one| others.iter().map(move |other| (one, other)))
            .filter(|&(one, other)| one.may_meet(other) && may_be(one));
        let pairs: Vec<(&Column, &Column)> = pairs.collect();
        let (one, other) = pairs[self.below(pairs.len())];
        (one.name.clone(), other.name.clone())
    }
}
