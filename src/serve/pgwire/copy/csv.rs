//! Comma-separated values, as RFC 4180 and Postgres have them: a quoted field is never NULL.

use super::Fields;

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
    /// After a quote that ends the field, or is the first of two.
    AfterQuote,
    /// After `\r` at the end of a row.
    CarriageReturn,
    /// After the end marker: the rest is ignored.
    End,
}

/// Splits bytes into fields, in any pieces they come.
pub(super) struct CsvParser {
    delimiter: u8,
    null: Vec<u8>,
    state: State,
    field: Vec<u8>,
    is_quoted: bool,
    /// Whether the row has only one field so far.
    is_first: bool,
}

impl CsvParser {
    pub(super) fn new(delimiter: u8, null: &str) -> CsvParser {
        CsvParser {
            delimiter,
            null: null.as_bytes().to_vec(),
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
            State::Quoted => Err("the last field has no closing quote".to_owned()),
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
        match (self.state, byte) {
            (State::End, _) => {}
            (State::Quoted, b'"') => self.state = State::AfterQuote,
            (State::Quoted, _) => self.field.push(byte),
            (State::AfterQuote, b'"') => {
                self.field.push(b'"');
                self.state = State::Quoted;
            }
            (State::RowStart | State::FieldStart, b'"') => {
                self.is_quoted = true;
                self.state = State::Quoted;
            }
            (_, b'\n') => {
                self.end_row(rows)?;
            }
            (_, b'\r') => {
                self.end_row(rows)?;
                if self.state != State::End {
                    self.state = State::CarriageReturn;
                }
            }
            (_, byte) if byte == self.delimiter => {
                self.end_field(rows)?;
                self.is_first = false;
                self.state = State::FieldStart;
            }
            (State::AfterQuote, _) => {
                return Err("text follows a closing quote".to_owned());
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

    fn parsed(pieces: &[&str]) -> Result<Vec<String>, String> {
        let mut rows = Collected::default();
        let mut parser = CsvParser::new(b',', "");
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
    fn broken_quotes_are_refused() {
        assert!(parsed(&["\"a"]).is_err());
        assert!(parsed(&["\"a\"b\n"]).is_err());
    }
}
