//! What a word may become when Tab is pressed.

use std::collections::BTreeSet;

/// Words of SQL that are worth completing.
const KEYWORDS: &[&str] = &[
    "ANALYZE",
    "AND",
    "AS OF",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASCADE",
    "CASE",
    "CAST",
    "COMMIT",
    "COPY",
    "CREATE",
    "CREATE MATERIALIZED VIEW",
    "CREATE TABLE",
    "DELETE FROM",
    "DESC",
    "DISTINCT",
    "DROP",
    "DROP MATERIALIZED VIEW",
    "DROP TABLE",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FILTER",
    "FROM",
    "FULL JOIN",
    "GROUP BY",
    "HAVING",
    "INNER JOIN",
    "INSERT INTO",
    "INTERSECT",
    "INTERVAL",
    "JOIN",
    "LATERAL",
    "LEFT JOIN",
    "LIMIT",
    "MATERIALIZED VIEW",
    "NOT",
    "NULL",
    "OFFSET",
    "ON CONFLICT",
    "ORDER BY",
    "OVER",
    "PARTITION BY",
    "PRIMARY KEY",
    "RECURSIVE",
    "ROLLBACK",
    "SELECT",
    "SET",
    "SHOW",
    "SHOW COLUMNS FROM",
    "SHOW CREATE",
    "SHOW TABLES",
    "SHOW VIEWS",
    "SUBSCRIBE TO",
    "TABLE",
    "THEN",
    "TIMESTAMP",
    "UNION ALL",
    "UPDATE",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WITH",
];

const COMMANDS: &[&str] = &[
    "\\?", "\\copy", "\\d", "\\dt", "\\dv", "\\format", "\\q", "\\timing", "\\watch",
];

/// What there is to name.
#[derive(Default)]
pub(super) struct Names {
    /// Each column with its table or view.
    columns: BTreeSet<(String, String)>,
}

/// What may stand in the place of the word before the cursor.
#[derive(Debug, PartialEq)]
pub(super) struct Completion {
    /// Where the word begins, in bytes.
    pub(super) start: usize,
    pub(super) candidates: Vec<String>,
}

impl Names {
    /// Names of columns, each with its table or view.
    pub(super) fn new(columns: impl IntoIterator<Item = (String, String)>) -> Names {
        Names {
            columns: columns.into_iter().collect(),
        }
    }

    /// What the word at the end of a text may become.
    pub(super) fn complete(&self, before: &str) -> Completion {
        if before.starts_with('\\') {
            return self.complete_command(before);
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let start = before.trim_end_matches(is_part).len();
        let word = &before[start..];
        if let Some(dot) = word.rfind('.') {
            return Completion {
                start: start + dot + 1,
                candidates: self.columns_of(&word[..dot], &word[dot + 1..]),
            };
        }
        let mut candidates = Vec::new();
        if !word.is_empty() {
            let lower = word.to_lowercase();
            let is_lower = word.chars().any(char::is_lowercase);
            let keywords = KEYWORDS.iter().map(|keyword| match is_lower {
                true => keyword.to_lowercase(),
                false => (*keyword).to_owned(),
            });
            candidates
                .extend(keywords.filter(|keyword| keyword.to_lowercase().starts_with(&lower)));
        }
        let names = self
            .relations()
            .chain(self.columns.iter().map(|(_, column)| column));
        let names: BTreeSet<&String> = names.filter(|name| name.starts_with(word)).collect();
        candidates.extend(names.into_iter().map(|name| quoted(name)));
        Completion { start, candidates }
    }

    fn complete_command(&self, before: &str) -> Completion {
        match before.rfind(' ') {
            None => Completion {
                start: 0,
                candidates: beginning_with(before, COMMANDS.iter().copied()),
            },
            Some(space) => {
                let relations = self.relations().map(String::as_str);
                let relations = relations.filter(|_| before.starts_with("\\d"));
                Completion {
                    start: space + 1,
                    candidates: beginning_with(&before[space + 1..], relations),
                }
            }
        }
    }

    /// The columns of a table or view; of what is none, such as an alias, those of all.
    fn columns_of(&self, relation: &str, beginning: &str) -> Vec<String> {
        let is_known = self.relations().any(|known| known == relation);
        let columns = self.columns.iter();
        let columns = columns.filter(|(known, _)| !is_known || known == relation);
        let columns: BTreeSet<&str> = columns.map(|(_, column)| column.as_str()).collect();
        beginning_with(beginning, columns)
    }

    fn relations(&self) -> impl Iterator<Item = &String> {
        self.columns.iter().map(|(relation, _)| relation)
    }
}

fn beginning_with<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<&str> = names
        .into_iter()
        .filter(|name| name.starts_with(word))
        .collect();
    names.into_iter().map(quoted).collect()
}

/// A name as it is written: in quotes where it would be taken for another.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_lowercase() || c.is_ascii_digit() || c == '_';
    match name.starts_with('\\') || name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

impl Completion {
    /// What all candidates begin with; nothing where there are none.
    pub(super) fn common(&self) -> &str {
        let Some((first, others)) = self.candidates.split_first() else {
            return "";
        };
        let mut end = first.len();
        for other in others {
            let same = first.bytes().zip(other.bytes());
            end = end.min(same.take_while(|(one, other)| one == other).count());
        }
        while !first.is_char_boundary(end) {
            end -= 1;
        }
        &first[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(before: &str) -> (usize, Vec<String>) {
        let columns = [
            ("orders", "id"),
            ("orders", "order_total"),
            ("products", "id"),
            ("products", "Größe"),
        ];
        let columns = columns.map(|(relation, column)| (relation.to_owned(), column.to_owned()));
        let completion = Names::new(columns).complete(before);
        (completion.start, completion.candidates)
    }

    #[test]
    fn words_become_keywords_and_names() {
        for (before, start, expected) in [
            ("sel", 0, &["select"][..]),
            ("SELECT * FR", 9, &["FROM"]),
            ("SELECT ord", 7, &["order by", "order_total", "orders"]),
            ("FROM orders WHERE orders.", 25, &["id", "order_total"]),
            ("FROM orders o WHERE o.i", 22, &["id"]),
            ("SELECT p.G", 9, &["\"Größe\""]),
            ("\\w", 0, &["\\watch"]),
            ("\\d pro", 3, &["products"]),
            ("\\format c", 8, &[]),
            ("SELECT nothing_of_this_kind", 7, &[]),
        ] {
            let expected: Vec<String> = expected.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(complete(before), (start, expected), "{before}");
        }
    }

    #[test]
    fn candidates_have_a_common_beginning() {
        let common = |candidates: &[&str]| {
            let candidates = candidates.iter().map(|word| (*word).to_owned()).collect();
            Completion {
                start: 0,
                candidates,
            }
            .common()
            .to_owned()
        };
        assert_eq!(common(&["order_total", "orders"]), "order");
        assert_eq!(common(&["söuth", "sßuth"]), "s");
        assert_eq!(common(&[]), "");
    }
}
