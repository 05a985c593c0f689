//! Postgres's text format: fields between tabs, `\N` for NULL, backslash escapes.

use super::Fields;

/// Splits bytes into fields, in any pieces they come.
pub(super) struct TextParser {
    delimiter: u8,
    null: Vec<u8>,
    /// The field as it was sent, for comparison with NULL.
    raw: Vec<u8>,
    field: Vec<u8>,
    /// After a backslash.
    is_escaped: bool,
    /// The value and number of digits of a `\x` or octal escape under way.
    number: Option<Number>,
    is_row_start: bool,
    /// After the end marker: the rest is ignored.
    has_ended: bool,
}

#[derive(Clone, Copy)]
struct Number {
    base: u32,
    value: u32,
    digits: usize,
}

impl Number {
    /// The most digits of the escape.
    fn most(self) -> usize {
        if self.base == 16 { 2 } else { 3 }
    }
}

impl TextParser {
    pub(super) fn new(delimiter: u8, null: &str) -> TextParser {
        TextParser {
            delimiter,
            null: null.as_bytes().to_vec(),
            raw: Vec::new(),
            field: Vec::new(),
            is_escaped: false,
            number: None,
            is_row_start: true,
            has_ended: false,
        }
    }

    pub(super) fn take(&mut self, data: &[u8], rows: &mut impl Fields) -> Result<(), String> {
        data.iter().try_for_each(|byte| self.byte(*byte, rows))
    }

    /// The end of the data, which may end the last row.
    pub(super) fn finish(&mut self, rows: &mut impl Fields) -> Result<(), String> {
        if self.has_ended || (self.is_row_start && self.raw.is_empty()) {
            return Ok(());
        }
        self.end_row(rows)
    }

    fn byte(&mut self, byte: u8, rows: &mut impl Fields) -> Result<(), String> {
        if self.has_ended {
            return Ok(());
        }
        if self.number.is_some() && self.digit(byte) {
            return Ok(());
        }
        if self.is_escaped {
            self.is_escaped = false;
            self.raw.push(byte);
            self.escape(byte);
            return Ok(());
        }
        match byte {
            b'\\' => {
                self.is_escaped = true;
                self.raw.push(byte);
            }
            b'\n' => self.end_row(rows)?,
            byte if byte == self.delimiter => {
                self.end_field(rows)?;
                self.is_row_start = false;
            }
            _ => {
                self.raw.push(byte);
                self.field.push(byte);
            }
        }
        Ok(())
    }

    fn escape(&mut self, byte: u8) {
        let plain = match byte {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'x' => {
                self.number = Some(Number {
                    base: 16,
                    value: 0,
                    digits: 0,
                });
                return;
            }
            b'0'..=b'7' => {
                self.number = Some(Number {
                    base: 8,
                    value: u32::from(byte - b'0'),
                    digits: 1,
                });
                return;
            }
            other => other,
        };
        self.field.push(plain);
    }

    /// Whether the byte is part of the number under way; if not, the number is complete.
    fn digit(&mut self, byte: u8) -> bool {
        let Some(mut number) = self.number else {
            return false;
        };
        let digit = char::from(byte).to_digit(number.base);
        if let Some(digit) = digit.filter(|_| number.digits < number.most()) {
            number.value = number.value * number.base + digit;
            number.digits += 1;
            self.number = Some(number);
            self.raw.push(byte);
            return true;
        }
        self.end_number();
        false
    }

    fn end_number(&mut self) {
        if let Some(number) = self.number.take() {
            match number.digits {
                0 => self.field.push(b'x'),
                _ => self.field.push((number.value & 0xff) as u8),
            }
        }
    }

    fn end_field(&mut self, rows: &mut impl Fields) -> Result<(), String> {
        self.end_number();
        let is_null = self.raw == self.null;
        rows.field((!is_null).then_some(self.field.as_slice()))?;
        self.raw.clear();
        self.field.clear();
        Ok(())
    }

    fn end_row(&mut self, rows: &mut impl Fields) -> Result<(), String> {
        if self.raw.last() == Some(&b'\r') {
            self.raw.pop();
            self.field.pop();
        }
        if self.is_row_start && self.raw == b"\\." {
            self.has_ended = true;
            return Ok(());
        }
        self.end_field(rows)?;
        self.is_row_start = true;
        rows.end_row()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rows as texts, fields parted by bars.
    #[derive(Default)]
    pub(in super::super) struct Collected {
        pub(in super::super) rows: Vec<String>,
        row: Vec<String>,
    }

    impl Fields for Collected {
        fn field(&mut self, field: Option<&[u8]>) -> Result<(), String> {
            let field = field.map(|field| String::from_utf8(field.to_vec()).expect("UTF-8"));
            self.row.push(field.unwrap_or_else(|| "NULL".to_owned()));
            Ok(())
        }

        fn end_row(&mut self) -> Result<(), String> {
            self.rows.push(std::mem::take(&mut self.row).join("|"));
            Ok(())
        }
    }

    #[test]
    fn escapes_and_nulls_are_understood_however_the_bytes_come() {
        let text = "1\ta\\tb\\\\\\n\t\\N\r\n2\t\t\\x41\\102c\n\\\\N\t\\N\tz\n\\.\nrest";
        let expected = ["1|a\tb\\\n|NULL", "2||ABc", "\\N|NULL|z"];
        for cut in 0..text.len() {
            let (left, right) = text.split_at(cut);
            let mut rows = Collected::default();
            let mut parser = TextParser::new(b'\t', "\\N");
            parser.take(left.as_bytes(), &mut rows).expect("rows");
            parser.take(right.as_bytes(), &mut rows).expect("rows");
            parser.finish(&mut rows).expect("rows");
            assert_eq!(rows.rows, expected, "{cut}");
        }
    }
}
