//! Comma-separated values, as Postgres has them: a quoted field is never NULL, and quotes may stand
//! around a part of a field.

use super::Fields;
use crate::sql::CsvFormat;

/// Where in a row the parser is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a row.
    RowStart,
    /// Before the first byte of a field.
    FieldStart,
    /// In a field without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote that ends the quoted part, or is the first of two.
    AfterQuote,
    /// Between quotes, after the sign that takes a quote its meaning.
    Escaped,
    /// After `\r` at the end of a row.
    CarriageReturn,
    /// After the end marker: the rest is ignored.
    End,
}

/// Splits bytes into fields, in any pieces they come.
pub(super) struct CsvParser {
    delimiter: u8,
    quote: u8,
    escape: u8,
    null: Vec<u8>,
    state: State,
    field: Vec<u8>,
    is_quoted: bool,
    /// Whether the row has only one field so far.
    is_first: bool,
}

impl CsvParser {
    pub(super) fn new(format: &CsvFormat) -> CsvParser {
        CsvParser {
            delimiter: format.delimiter,
            quote: format.quote,
            escape: format.escape,
            null: format.null.as_bytes().to_vec(),
            state: State::RowStart,
            field: Vec::new(),
            is_quoted: false,
            is_first: true,
        }
    }

    pub(super) fn take(&mut self, data: &[u8], rows: &mut impl Fields) -> Result<(), String> {
        data.iter().try_for_each(|byte| self.byte(*byte, rows))
    }

    /// The end of the data, which may end the last row.
    pub(super) fn finish(&mut self, rows: &mut impl Fields) -> Result<(), String> {
        match self.state {
            State::RowStart | State::CarriageReturn | State::End => Ok(()),
            State::Quoted | State::Escaped => Err("the last field has no closing quote".to_owned()),
            _ => self.end_row(rows),
        }
    }

    fn byte(&mut self, byte: u8, rows: &mut impl Fields) -> Result<(), String> {
        if self.state == State::CarriageReturn {
            self.state = State::RowStart;
            if byte == b'\n' {
                return Ok(());
            }
        }
        match self.state {
            State::End => Ok(()),
            State::Quoted | State::Escaped => {
                self.quoted_byte(byte);
                Ok(())
            }
            _ if byte == self.quote => {
                if self.state == State::AfterQuote && self.escape == self.quote {
                    self.field.push(byte);
                }
                self.is_quoted = true;
                self.state = State::Quoted;
                Ok(())
            }
            _ => self.plain_byte(byte, rows),
        }
    }

    fn quoted_byte(&mut self, byte: u8) {
        let is_escaped = self.state == State::Escaped;
        let is_special = byte == self.quote || byte == self.escape;
        self.state = State::Quoted;
        if is_escaped && !is_special {
            // It takes nothing its meaning and stands for itself.
            self.field.push(self.escape);
        }
        match is_special && !is_escaped {
            true if byte == self.quote => self.state = State::AfterQuote,
            true => self.state = State::Escaped,
            false => self.field.push(byte),
        }
    }

    fn plain_byte(&mut self, byte: u8, rows: &mut impl Fields) -> Result<(), String> {
        match byte {
            b'\n' => self.end_row(rows)?,
            b'\r' => {
                self.end_row(rows)?;
                if self.state != State::End {
                    self.state = State::CarriageReturn;
                }
            }
            byte if byte == self.delimiter => {
                self.end_field(rows)?;
                self.is_first = false;
                self.state = State::FieldStart;
            }
            _ => {
                self.field.push(byte);
                self.state = State::Plain;
            }
        }
        Ok(())
    }

    fn end_field(&mut self, rows: &mut impl Fields) -> Result<(), String> {
        let is_null = !self.is_quoted && self.field == self.null;
        rows.field((!is_null).then_some(self.field.as_slice()))?;
        self.field.clear();
        self.is_quoted = false;
        Ok(())
    }

    fn end_row(&mut self, rows: &mut impl Fields) -> Result<(), String> {
        // With this line psql before version 17 ends rows in a script.
        if self.is_first && !self.is_quoted && self.field == b"\\." {
            self.state = State::End;
            return Ok(());
        }
        self.end_field(rows)?;
        self.is_first = true;
        self.state = State::RowStart;
        rows.end_row()
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::Collected;
    use super::*;
    use crate::sql::{CopyColumns, CopyHeader};

    fn parsed(pieces: &[&str]) -> Result<Vec<String>, String> {
        parsed_with(b'"', b'"', pieces)
    }

    fn parsed_with(quote: u8, escape: u8, pieces: &[&str]) -> Result<Vec<String>, String> {
        let format = CsvFormat {
            header: CopyHeader::No,
            delimiter: b',',
            null: String::new(),
            quote,
            escape,
            force_quote: CopyColumns::None,
            force_not_null: CopyColumns::None,
            force_null: CopyColumns::None,
        };
        let mut rows = Collected::default();
        let mut parser = CsvParser::new(&format);
        for piece in pieces {
            parser.take(piece.as_bytes(), &mut rows)?;
        }
        parser.finish(&mut rows)?;
        Ok(rows.rows)
    }

    #[test]
    fn quotes_hold_everything_and_are_never_null() {
        let text = "1,\"a, \"\"b\"\"\n c\",\"\",\n2,x y,,\"z\"\r\n3,,,";
        let expected = ["1|a, \"b\"\n c||NULL", "2|x y|NULL|z", "3|NULL|NULL|NULL"];
        assert_eq!(parsed(&[text]).expect("rows"), expected);
        for cut in 0..text.len() {
            let (left, right) = text.split_at(cut);
            assert_eq!(parsed(&[left, right]).expect("rows"), expected, "{cut}");
        }
    }

    #[test]
    fn only_a_whole_line_is_the_end_marker() {
        assert_eq!(parsed(&["1\n\\.\n2\n"]).expect("rows"), ["1"]);
        assert_eq!(parsed(&["1\n\\.\r\n"]).expect("rows"), ["1"]);
        assert_eq!(parsed(&["\\."]).expect("rows"), Vec::<String>::new());
        assert_eq!(parsed(&["a\\.\n"]).expect("rows"), ["a\\."]);
        assert_eq!(parsed(&["\"\\.\"\n"]).expect("rows"), ["\\."]);
    }

    #[test]
    fn quotes_that_are_not_closed_are_refused() {
        assert!(parsed(&["\"a"]).is_err());
        assert!(parsed(&["a\"b\n"]).is_err());
        assert!(parsed_with(b'"', b'\\', &["\"a\\\"\n"]).is_err());
    }

    #[test]
    fn a_part_of_a_field_may_be_quoted() {
        let text = "a\"b,c\"d,\"e\"f,\"g\"\"h\"i\n";
        assert_eq!(parsed(&[text]).expect("rows"), ["ab,cd|ef|g\"hi"]);
    }

    #[test]
    fn quotes_and_escapes_may_be_other_signs() {
        let text = "'a\\'b\\\\c\\d','it''s',\"x\"\n'','e\\',f'\n";
        let expected = ["a'b\\c\\d|its|\"x\"", "|e',f"];
        for cut in 0..text.len() {
            let (left, right) = text.split_at(cut);
            let found = parsed_with(b'\'', b'\\', &[left, right]);
            assert_eq!(found.expect("rows"), expected, "{cut}");
        }
    }
}
