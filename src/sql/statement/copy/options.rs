//! What the options of a COPY say together.

use std::collections::BTreeMap;

use datafusion::common::Span;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use super::format::{CopyColumns, CopyFormat, CopyHeader, CsvFormat};
use super::reader::Reader;
use crate::sql::SqlError;
use crate::sql::place::of_span;
use crate::sql::statement::{tail, unknown};

/// What only CSV has.
const OF_CSV: [&str; 5] = [
    "quote",
    "escape",
    "force_quote",
    "force_not_null",
    "force_null",
];

/// What parts the values of text must not be, as it may be part of values or escapes.
const NO_DELIMITER_OF_TEXT: &str = "\\.abcdefghijklmnopqrstuvwxyz0123456789";

/// What an option is set to.
pub(super) enum Value {
    Missing,
    Text(String),
    /// `*`
    All,
    Names(Vec<String>),
}

/// Options by their names in lower case.
#[derive(Default)]
pub(super) struct Options(BTreeMap<String, Value>);

/// Reads the options that stand behind STDIN (`is_in`) or STDOUT.
pub(super) fn format(tokens: &[TokenWithSpan], is_in: bool) -> Result<CopyFormat, SqlError> {
    let mut options = Reader::new(tokens).options()?;
    let format = options.text("format")?.unwrap_or_else(|| "text".to_owned());
    options.check_encoding()?;
    options.switch("freeze")?;
    let format = match format.to_lowercase().as_str() {
        "text" => options.text_format(is_in)?,
        "csv" => CopyFormat::Csv(options.csv_format(is_in)?),
        "binary" => options.binary_format()?,
        other => {
            let message = format!("there is no COPY format \"{other}\"");
            let error = SqlError::new("22023", message);
            return Err(error.with_hint("the formats are text, csv and binary"));
        }
    };
    match options.0.keys().next().map(String::as_str) {
        None => Ok(format),
        Some(option) if OF_CSV.contains(&option) => Err(SqlError::unsupported(format!(
            "the COPY option {} is for CSV only",
            option.to_uppercase()
        ))),
        Some(other) => Err(SqlError::syntax(format!(
            "there is no COPY option \"{other}\""
        ))),
    }
}

impl Options {
    /// Takes an option in; each may be given once.
    pub(super) fn add(
        &mut self,
        name: &str,
        value: Value,
        place: &TokenWithSpan,
    ) -> Result<(), SqlError> {
        match self.0.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => {
                let name = name.to_uppercase();
                let error = SqlError::syntax(format!("the COPY option {name} is given twice"));
                Err(placed(error, place))
            }
        }
    }

    /// The text that an option is set to.
    fn text(&mut self, name: &str) -> Result<Option<String>, SqlError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => {
                let name = name.to_uppercase();
                let message = format!("the COPY option {name} takes a text");
                Err(SqlError::syntax(message))
            }
        }
    }

    /// The sign that an option is set to.
    fn sign(&mut self, name: &str) -> Result<Option<u8>, SqlError> {
        match self.text(name)?.as_deref().map(str::as_bytes) {
            None => Ok(None),
            Some([sign]) => Ok(Some(*sign)),
            Some(_) => {
                let name = name.to_uppercase();
                let message = format!("the COPY option {name} takes one sign of one byte");
                Err(SqlError::unsupported(message))
            }
        }
    }

    /// Whether an option is switched on.
    fn switch(&mut self, name: &str) -> Result<bool, SqlError> {
        let value = match self.0.remove(name) {
            None => return Ok(false),
            Some(Value::Missing) => None,
            Some(Value::Text(text)) => Some(text.to_lowercase()),
            Some(_) => Some("a list".to_owned()),
        };
        tail::is_on(&(name.to_owned(), value))
    }

    /// The columns that an option names.
    fn columns(&mut self, name: &str) -> Result<CopyColumns, SqlError> {
        match self.0.remove(name) {
            None => Ok(CopyColumns::None),
            Some(Value::All) => Ok(CopyColumns::All),
            Some(Value::Names(names)) => Ok(CopyColumns::Named(names)),
            Some(_) => {
                let name = name.to_uppercase();
                let message = format!("the COPY option {name} takes a list of columns");
                Err(SqlError::new("22023", message))
            }
        }
    }

    fn check_encoding(&mut self) -> Result<(), SqlError> {
        let Some(encoding) = self.text("encoding")? else {
            return Ok(());
        };
        let known = ["utf8", "utf-8", "unicode"];
        match known.contains(&encoding.to_lowercase().as_str()) {
            true => Ok(()),
            false => Err(unknown(&format!("COPY in the encoding \"{encoding}\""))
                .with_hint("texts are in UTF8")),
        }
    }

    fn header(&mut self, is_in: bool) -> Result<CopyHeader, SqlError> {
        let is_match = match self.0.get("header") {
            Some(Value::Text(text)) => text.eq_ignore_ascii_case("match"),
            _ => false,
        };
        if is_match {
            self.0.remove("header");
            return match is_in {
                true => Ok(CopyHeader::Match),
                false => Err(SqlError::unsupported("HEADER MATCH is for COPY FROM only")),
            };
        }
        Ok(match self.switch("header")? {
            true => CopyHeader::Yes,
            false => CopyHeader::No,
        })
    }

    fn text_format(&mut self, is_in: bool) -> Result<CopyFormat, SqlError> {
        let delimiter = self.sign("delimiter")?.unwrap_or(b'\t');
        let null = self.text("null")?.unwrap_or_else(|| "\\N".to_owned());
        check_signs(delimiter, &null)?;
        if NO_DELIMITER_OF_TEXT.contains(char::from(delimiter)) {
            let delimiter = char::from(delimiter);
            let message = format!("values of text cannot be parted by \"{delimiter}\"");
            return Err(SqlError::new("22023", message));
        }
        Ok(CopyFormat::Text {
            header: self.header(is_in)?,
            delimiter,
            null,
        })
    }

    fn csv_format(&mut self, is_in: bool) -> Result<CsvFormat, SqlError> {
        let delimiter = self.sign("delimiter")?.unwrap_or(b',');
        let null = self.text("null")?.unwrap_or_default();
        let quote = self.sign("quote")?.unwrap_or(b'"');
        check_signs(delimiter, &null)?;
        if delimiter == quote {
            let message = "the COPY options DELIMITER and QUOTE must differ";
            return Err(SqlError::new("22023", message));
        }
        if null.contains(char::from(quote)) {
            let message = "the COPY option NULL must not contain the quote";
            return Err(SqlError::unsupported(message));
        }
        let format = CsvFormat {
            header: self.header(is_in)?,
            delimiter,
            null,
            quote,
            escape: self.sign("escape")?.unwrap_or(quote),
            force_quote: self.columns("force_quote")?,
            force_not_null: self.columns("force_not_null")?,
            force_null: self.columns("force_null")?,
        };
        let none = CopyColumns::None;
        let misplaced = match is_in {
            true if format.force_quote != none => "FORCE_QUOTE is for COPY TO only",
            false if format.force_not_null != none => "FORCE_NOT_NULL is for COPY FROM only",
            false if format.force_null != none => "FORCE_NULL is for COPY FROM only",
            _ => return Ok(format),
        };
        Err(SqlError::unsupported(misplaced))
    }

    fn binary_format(&mut self) -> Result<CopyFormat, SqlError> {
        for option in ["delimiter", "null"] {
            if self.0.contains_key(option) {
                let option = option.to_uppercase();
                let message = format!("there is no {option} in the binary format");
                return Err(SqlError::syntax(message));
            }
        }
        match self.switch("header")? {
            true => Err(SqlError::unsupported(
                "there is no header in the binary format",
            )),
            false => Ok(CopyFormat::Binary),
        }
    }
}

/// Refuses signs by which lines or values could not be told apart.
fn check_signs(delimiter: u8, null: &str) -> Result<(), SqlError> {
    if [b'\n', b'\r'].contains(&delimiter) || null.contains(['\n', '\r']) {
        let message = "the COPY options DELIMITER and NULL must not contain the end of a line";
        return Err(SqlError::new("22023", message));
    }
    match null.contains(char::from(delimiter)) {
        true => Err(SqlError::unsupported(
            "the COPY option NULL must not contain the delimiter",
        )),
        false => Ok(()),
    }
}

/// An error with the place of a token.
pub(super) fn placed(error: SqlError, token: &TokenWithSpan) -> SqlError {
    match Span::try_from_sqlparser_span(token.span) {
        Some(span) => error.at(of_span(span)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str, is_in: bool) -> Result<CopyFormat, SqlError> {
        let tokens = crate::sql::refusals::guard::tokens(options).expect("tokens");
        let tokens: Vec<TokenWithSpan> = tokens
            .into_iter()
            .filter(crate::sql::statement::is_meaningful)
            .collect();
        format(&tokens, is_in)
    }

    #[test]
    fn both_forms_say_the_same() {
        for (newer, older, is_in) in [
            ("", "", true),
            ("(FORMAT csv)", "WITH CSV", true),
            ("WITH (FORMAT 'csv', HEADER true)", "csv header", false),
            (
                "(HEADER 1, DELIMITER E'\\t')",
                "HEADER DELIMITER AS E'\\t'",
                true,
            ),
            (
                "(FORMAT CSV, QUOTE '''', ESCAPE '\\', NULL 'nil', ENCODING 'utf8')",
                "NULL AS 'nil' QUOTE AS '''' ESCAPE '\\' ENCODING 'UTF-8' CSV",
                true,
            ),
            (
                "(FORMAT csv, FORCE_NULL (a, \"B\"), FORCE_NOT_NULL (C))",
                "CSV FORCE NOT NULL c FORCE NULL A, \"B\"",
                true,
            ),
            ("(FORMAT csv, FORCE_QUOTE *)", "CSV FORCE QUOTE *", false),
            ("(FORMAT binary, HEADER off)", "BINARY", false),
            ("(FREEZE, FORMAT text)", "FREEZE", true),
        ] {
            let expected = read(newer, is_in).expect(newer);
            assert_eq!(read(older, is_in).expect(older), expected, "{older}");
        }
        let matched = read("(HEADER match)", true).expect("a header");
        let expected = CopyFormat::Text {
            header: CopyHeader::Match,
            delimiter: b'\t',
            null: "\\N".to_owned(),
        };
        assert_eq!(matched, expected);
    }

    #[test]
    fn what_postgres_refuses_is_refused_with_its_state() {
        for (options, is_in, state) in [
            ("(FORMAT xml)", false, "22023"),
            ("(FORMAT csv, FORMAT csv)", false, "42601"),
            ("CSV BINARY", false, "42601"),
            ("(FORMAT csv, HEADER match)", false, "0A000"),
            ("(HEADER maybe)", true, "42601"),
            ("(FORMAT binary, DELIMITER ',')", false, "42601"),
            ("(FORMAT binary, NULL 'x')", false, "42601"),
            ("(FORMAT binary, HEADER)", false, "0A000"),
            ("(DELIMITER 'ab')", false, "0A000"),
            ("(DELIMITER 'ä')", false, "0A000"),
            ("(DELIMITER E'\\n')", false, "22023"),
            ("(DELIMITER 'a')", false, "22023"),
            ("(DELIMITER)", false, "42601"),
            ("(NULL E'\\n')", false, "22023"),
            ("(QUOTE '''')", false, "0A000"),
            ("(FORMAT csv, QUOTE ',')", false, "22023"),
            ("(FORCE_QUOTE *)", false, "0A000"),
            ("(FORMAT csv, FORCE_QUOTE *)", true, "0A000"),
            ("(FORMAT csv, FORCE_QUOTE a)", false, "22023"),
            ("(FORMAT csv, FORCE_NULL (a))", false, "0A000"),
            ("(FORMAT csv, FORCE_NOT_NULL (a))", false, "0A000"),
            ("(FORMAT csv, NULL 'a,b')", false, "0A000"),
            ("(FORMAT csv, NULL 'a\"b')", false, "0A000"),
            ("(NOSUCH 1)", false, "42601"),
            ("(ENCODING 'latin1')", false, "0A000"),
            ("CSV NOSUCH", false, "42601"),
            ("WHERE a > 1", true, "0A000"),
            ("(FORMAT csv) WHERE a > 1", true, "0A000"),
            ("(FORMAT csv", true, "42601"),
            ("()", true, "42601"),
        ] {
            let refused = read(options, is_in).expect_err(options);
            assert_eq!(refused.sqlstate, state, "{options}: {refused}");
        }
    }
}
