//! Named queries: files of SQL with parameters, so that programs ask by name.
//!
//! A file begins with comments; a comment `-- param: name type = default  meaning` declares a
//! parameter, which the query uses as `$name`. Values are put in as typed literals of the parsed
//! query, never as text, so that no value can change what is asked.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use datafusion::sql::sqlparser::ast::{DataType, Expr, Query, Value, ValueWithSpan};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::sql::SqlError;
use crate::sql::statement::parse_query;
use crate::sql::syntax::{cast, edit_expressions};

/// A query that is asked by its name.
#[derive(Clone, Debug)]
pub struct NamedQuery {
    /// The name: that of the file without `.sql`.
    pub name: String,
    /// What it answers: the comment at its beginning.
    pub description: String,
    /// Its parameters in the order of their declarations.
    pub parameters: Vec<Parameter>,
    query: Box<Query>,
}

/// A parameter of a named query.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The name, which the query uses as `$name`.
    pub name: String,
    /// The SQL type.
    pub data_type: DataType,
    /// The value where none is given; `None`: one must be given.
    pub default: Option<String>,
    /// What it means.
    pub meaning: String,
}

/// What is wrong with a file of a named query, or with the values for one.
#[derive(Debug, thiserror::Error)]
pub enum NamedQueryError {
    /// The directory or a file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no query with declared parameters.
    #[error("{}: {problem}", path.display())]
    Definition {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no query of this name.
    #[error("there is no query `{name}`{suggestion}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// `; did you mean …?`, or the names there are.
        suggestion: String,
    },
    /// A value is missing, unknown, or not of its type.
    #[error("query {query}: {problem}")]
    Value {
        /// The query.
        query: String,
        /// What is wrong.
        problem: String,
    },
}

/// All queries of a directory by name.
pub fn load(directory: &Path) -> Result<BTreeMap<String, NamedQuery>, NamedQueryError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| NamedQueryError::Read { path, source }
    };
    let mut queries = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable(directory))? {
        let path = entry.map_err(unreadable(directory))?.path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let query =
            NamedQuery::parse(name, &text).map_err(|problem| NamedQueryError::Definition {
                path: path.clone(),
                problem,
            })?;
        queries.insert(name.to_owned(), query);
    }
    Ok(queries)
}

/// The query of a name.
pub fn find<'q>(
    queries: &'q BTreeMap<String, NamedQuery>,
    name: &str,
) -> Result<&'q NamedQuery, NamedQueryError> {
    queries.get(name).ok_or_else(|| NamedQueryError::Unknown {
        name: name.to_owned(),
        suggestion: suggestion(name, queries.keys().map(String::as_str)),
    })
}

impl NamedQuery {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<NamedQuery, String> {
        let comments = text.lines().take_while(|line| line.starts_with("--"));
        let mut description = String::new();
        let mut parameters = Vec::new();
        for comment in comments {
            let comment = comment.trim_start_matches('-').trim();
            match comment.strip_prefix("param:") {
                Some(declaration) => parameters.push(Parameter::parse(declaration)?),
                None if comment.is_empty() => description.push('\n'),
                None => {
                    if !description.is_empty() && !description.ends_with('\n') {
                        description.push(' ');
                    }
                    description.push_str(comment);
                }
            }
        }
        let query = parse_query(text).map_err(|error| error.message)?;
        let query = NamedQuery {
            name: name.to_owned(),
            description: description.trim().to_owned(),
            parameters,
            query,
        };
        query.check_placeholders()?;
        Ok(query)
    }

    /// Every placeholder is declared and every declaration is used.
    fn check_placeholders(&self) -> Result<(), String> {
        let mut used = Vec::new();
        let mut query = self.query.clone();
        let _ = edit_expressions(&mut query, &mut |expression| {
            used.extend(placeholder(expression).map(str::to_owned));
            ControlFlow::Continue(())
        });
        let declared = |name: &String| self.parameters.iter().any(|known| known.name == *name);
        if let Some(name) = used.iter().find(|name| !declared(name)) {
            return Err(format!(
                "${name} is not declared; add `-- param: {name} type`"
            ));
        }
        match self
            .parameters
            .iter()
            .find(|known| !used.contains(&known.name))
        {
            Some(unused) => Err(format!("the parameter {} is not used", unused.name)),
            None => Ok(()),
        }
    }

    /// The SQL text with the values in place of the parameters.
    ///
    /// # Errors
    /// If a value is missing, unknown or not of its type.
    pub fn with_values(
        &self,
        values: &BTreeMap<String, String>,
    ) -> Result<String, NamedQueryError> {
        let wrong = |problem: String| NamedQueryError::Value {
            query: self.name.clone(),
            problem,
        };
        let names = || {
            self.parameters
                .iter()
                .map(|parameter| parameter.name.as_str())
        };
        if let Some(unknown) = values
            .keys()
            .find(|name| !names().any(|known| known == *name))
        {
            let suggestion = suggestion(unknown, names());
            return Err(wrong(format!(
                "it has no parameter `{unknown}`{suggestion}"
            )));
        }
        let mut literals = BTreeMap::new();
        for parameter in &self.parameters {
            let value = values.get(&parameter.name).or(parameter.default.as_ref());
            let value = value.ok_or_else(|| {
                let Parameter { name, meaning, .. } = parameter;
                wrong(format!("the parameter `{name}` has no value: {meaning}"))
            })?;
            let literal = parameter
                .literal(value)
                .map_err(|error| wrong(error.message))?;
            literals.insert(parameter.name.as_str(), literal);
        }
        Ok(self.with_literals(&literals))
    }

    /// The SQL text with defaults, and NULL of the right type where there is none: good for
    /// planning.
    ///
    /// # Errors
    /// If a default is not of its type.
    pub fn without_values(&self) -> Result<String, NamedQueryError> {
        let literal = |parameter: &Parameter| match &parameter.default {
            Some(default) => parameter.literal(default),
            None => Ok(parameter.cast(Value::Null)),
        };
        let literals = self.parameters.iter().map(|parameter| {
            let literal = literal(parameter).map_err(|error| NamedQueryError::Value {
                query: self.name.clone(),
                problem: error.message,
            })?;
            Ok((parameter.name.as_str(), literal))
        });
        Ok(self.with_literals(&literals.collect::<Result<_, NamedQueryError>>()?))
    }

    fn with_literals(&self, literals: &BTreeMap<&str, Expr>) -> String {
        let mut query = self.query.clone();
        let _ = edit_expressions(&mut query, &mut |expression| {
            let literal = placeholder(expression).and_then(|name| literals.get(name));
            if let Some(literal) = literal.cloned() {
                *expression = literal;
            }
            ControlFlow::Continue(())
        });
        query.to_string()
    }
}

impl Parameter {
    /// Reads `name type [= default]  meaning`; the meaning begins behind two spaces.
    fn parse(declaration: &str) -> Result<Parameter, String> {
        let problem = || {
            format!(
                "`{}` is not `name type [= default]  meaning`",
                declaration.trim()
            )
        };
        let (head, meaning) = declaration.trim().split_once("  ").ok_or_else(problem)?;
        let (typed, default) = match head.split_once('=') {
            Some((typed, default)) => (typed.trim(), Some(default.trim().to_owned())),
            None => (head, None),
        };
        let (name, data_type) = typed.split_once(' ').ok_or_else(problem)?;
        let data_type = Parser::new(&GenericDialect {})
            .try_with_sql(data_type)
            .and_then(|mut parser| parser.parse_data_type())
            .map_err(|error| format!("the type of {name}: {error}"))?;
        Ok(Parameter {
            name: name.to_owned(),
            data_type,
            default,
            meaning: meaning.trim().to_owned(),
        })
    }

    /// A value as an expression. Numbers stand as they are, so that they may follow LIMIT.
    fn literal(&self, value: &str) -> Result<Expr, SqlError> {
        let wrong = |what: &str| {
            let message = format!("`{value}` for `{}` is no {what}", self.name);
            SqlError::new("22023", message)
        };
        match &self.data_type {
            DataType::BigInt(_) | DataType::Int(_) | DataType::Integer(_) => {
                let number: i64 = value.parse().map_err(|_| wrong("whole number"))?;
                match number < 0 {
                    true => Ok(self.cast(Value::SingleQuotedString(number.to_string()))),
                    false => Ok(Expr::value(Value::Number(number.to_string(), false))),
                }
            }
            DataType::Boolean | DataType::Bool => match value {
                "true" | "false" => Ok(Expr::value(Value::Boolean(value == "true"))),
                _ => Err(wrong("true or false")),
            },
            _ => Ok(self.cast(Value::SingleQuotedString(value.to_owned()))),
        }
    }

    fn cast(&self, value: Value) -> Expr {
        cast(Expr::value(value), self.data_type.clone())
    }
}

/// The name of a `$name`.
fn placeholder(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Value(ValueWithSpan {
            value: Value::Placeholder(name),
            ..
        }) => name.strip_prefix('$'),
        _ => None,
    }
}

fn suggestion<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let near = names
        .iter()
        .map(|other| (strsim::jaro_winkler(name, other), other));
    match near.max_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((likeness, near)) if likeness > 0.8 => format!("; did you mean `{near}`?"),
        Some(_) => format!("; there are: {}", names.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- Who buys most?\n--\n-- By channel.\n\
        -- param: channel text  Which channel\n\
        -- param: limit bigint = 10  How many\n\
        SELECT customer_id FROM orders WHERE channel = $channel LIMIT $limit;\n";

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect()
    }

    #[test]
    fn values_become_typed_literals() {
        let query = NamedQuery::parse("best", TEXT).expect("a query");
        assert_eq!(query.description, "Who buys most?\nBy channel.");
        let sql = query
            .with_values(&values(&[("channel", "web' OR 1=1 --")]))
            .expect("values");
        let expected = "SELECT customer_id FROM orders WHERE channel = \
                        CAST('web'' OR 1=1 --' AS TEXT) LIMIT 10";
        assert_eq!(sql, expected);
    }

    #[test]
    fn wrong_values_are_refused_with_a_way_out() {
        let query = NamedQuery::parse("best", TEXT).expect("a query");
        for (pairs, part) in [
            (vec![], "`channel` has no value: Which channel"),
            (vec![("chanel", "web")], "did you mean `channel`"),
            (
                vec![("channel", "web"), ("limit", "ten")],
                "no whole number",
            ),
        ] {
            let error = query
                .with_values(&values(&pairs))
                .expect_err(part)
                .to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn files_say_what_their_parameters_are() {
        for (text, part) in [
            ("SELECT $x", "not declared"),
            ("-- param: x bigint = 1  What\nSELECT 1", "not used"),
            ("-- param: x\nSELECT $x", "is not `name type"),
            ("-- Nothing\n", "expected one SELECT"),
        ] {
            let error = NamedQuery::parse("q", text).expect_err(part);
            assert!(error.contains(part), "{error}");
        }
    }
}
