//! Reads the options at the end of a COPY, in parentheses and in the form from before there were
//! these.
//!
//! ```sql
//! COPY … [WITH] (FORMAT csv, HEADER match, FORCE_NULL (a, b), …)
//! COPY … [WITH] CSV HEADER QUOTE AS '''' FORCE NULL a, b …
//! ```
//! The parser knows some of them, and not in all their forms.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::options::{Options, Value, placed};
use crate::sql::SqlError;
use crate::sql::statement::{tail, unknown};

/// A word as it is known: in lower case unless quoted.
fn folded(word: &Word) -> String {
    match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_lowercase(),
    }
}

/// Tokens that are still to be read.
pub(super) struct Reader<'t> {
    tokens: &'t [TokenWithSpan],
}

impl<'t> Reader<'t> {
    pub(super) fn new(tokens: &'t [TokenWithSpan]) -> Reader<'t> {
        Reader { tokens }
    }

    /// All of them.
    pub(super) fn options(mut self) -> Result<Options, SqlError> {
        let mut options = Options::default();
        self.take_word("with");
        if self.take(&Token::LParen) {
            self.option(&mut options)?;
            while self.take(&Token::Comma) {
                self.option(&mut options)?;
            }
            if !self.take(&Token::RParen) {
                return Err(self.unexpected());
            }
        } else {
            while !self.tokens.is_empty() {
                self.older_option(&mut options)?;
            }
        }
        match self.tokens {
            [] => Ok(options),
            _ => Err(self.unexpected()),
        }
    }

    /// `FORMAT csv`, `HEADER`, `FORCE_NULL (a, b)`
    fn option(&mut self, options: &mut Options) -> Result<(), SqlError> {
        let tokens = self.tokens;
        let [place, rest @ ..] = tokens else {
            return Err(self.unexpected());
        };
        let Token::Word(word) = &place.token else {
            return Err(self.unexpected());
        };
        self.tokens = rest;
        let value = match self.tokens.first().map(|token| &token.token) {
            Some(Token::Comma | Token::RParen) | None => Value::Missing,
            Some(Token::LParen) => {
                self.take(&Token::LParen);
                let names = self.names()?;
                if !self.take(&Token::RParen) {
                    return Err(self.unexpected());
                }
                Value::Names(names)
            }
            Some(Token::Mul) => {
                self.take(&Token::Mul);
                Value::All
            }
            Some(_) => Value::Text(self.text()?),
        };
        options.add(&word.value.to_lowercase(), value, place)
    }

    /// `CSV`, `DELIMITER AS ';'`, `FORCE NULL a, b`
    fn older_option(&mut self, options: &mut Options) -> Result<(), SqlError> {
        let tokens = self.tokens;
        let Some(place) = tokens.first() else {
            return Err(self.unexpected());
        };
        for format in ["csv", "binary"] {
            if self.take_word(format) {
                return options.add("format", Value::Text(format.to_owned()), place);
            }
        }
        for switch in ["header", "freeze"] {
            if self.take_word(switch) {
                return options.add(switch, Value::Missing, place);
            }
        }
        for setting in ["delimiter", "null", "quote", "escape", "encoding"] {
            if self.take_word(setting) {
                self.take_word("as");
                let text = self.text()?;
                return options.add(setting, Value::Text(text), place);
            }
        }
        if !self.take_word("force") {
            return Err(self.unexpected());
        }
        let forced = if self.take_word("quote") {
            "force_quote"
        } else {
            let is_not = self.take_word("not");
            match self.take_word("null") {
                true if is_not => "force_not_null",
                true => "force_null",
                false => return Err(self.unexpected()),
            }
        };
        let columns = match self.take(&Token::Mul) {
            true => Value::All,
            false => Value::Names(self.names()?),
        };
        options.add(forced, columns, place)
    }

    fn take(&mut self, token: &Token) -> bool {
        let is_there = self
            .tokens
            .first()
            .is_some_and(|first| first.token == *token);
        if is_there {
            self.tokens = &self.tokens[1..];
        }
        is_there
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_there = tail::is_word(self.tokens.first(), word);
        if is_there {
            self.tokens = &self.tokens[1..];
        }
        is_there
    }

    /// A text in quotes, a word or a number.
    fn text(&mut self) -> Result<String, SqlError> {
        let text = match self.tokens.first().map(|token| &token.token) {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => {
                text.clone()
            }
            Some(Token::Number(digits, _)) => digits.clone(),
            Some(Token::Word(word)) => folded(word),
            _ => return Err(self.unexpected()),
        };
        self.tokens = &self.tokens[1..];
        Ok(text)
    }

    /// Names of columns between commas.
    fn names(&mut self) -> Result<Vec<String>, SqlError> {
        let mut names = Vec::new();
        loop {
            let Some(Token::Word(word)) = self.tokens.first().map(|first| &first.token) else {
                return Err(self.unexpected());
            };
            names.push(folded(word));
            self.tokens = &self.tokens[1..];
            if !self.take(&Token::Comma) {
                return Ok(names);
            }
        }
    }

    fn unexpected(&self) -> SqlError {
        let Some(first) = self.tokens.first() else {
            return SqlError::syntax("the options of COPY have no end");
        };
        let error = match tail::is_word(Some(first), "where") {
            true => unknown("WHERE in COPY")
                .with_hint("delete the rows that are not wanted, or read the file as a source"),
            false => SqlError::syntax(format!("\"{}\" is no option of COPY", first.token)),
        };
        placed(error, first)
    }
}
