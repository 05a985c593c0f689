//! Rows of `COPY … TO STDOUT` as comma-separated values.
//!
//! The library's own writes an empty text like NULL, and the end marker like any text, so that what
//! is copied out would come back as something else.

use arrow::datatypes::Schema;
use arrow_pg::encoder::Encoder;
use bytes::{BufMut, BytesMut};
use pgwire::api::results::FieldInfo;
use pgwire::error::PgWireResult;
use pgwire::messages::copy::CopyData;
use pgwire::types::ToSqlText;
use pgwire::types::format::FormatOptions;
use tokio_postgres::types::{IsNull, ToSql};

use crate::sql::{CsvFormat, SqlError};

/// Writes rows as Postgres does: quotes are around what would be read otherwise without them, and
/// around all values of columns of which that is asked.
pub struct CsvEncoder {
    format: CsvFormat,
    /// For each column, whether its values are always quoted.
    quoted: Vec<bool>,
    row: BytesMut,
    /// The column that comes next.
    next: usize,
}

impl CsvEncoder {
    /// An encoder of rows of these columns that has none yet.
    ///
    /// # Errors
    /// If the format names a column that is not one of them.
    pub fn new(format: &CsvFormat, columns: &Schema) -> Result<CsvEncoder, SqlError> {
        Ok(CsvEncoder {
            quoted: format.force_quote.among("FORCE_QUOTE", columns)?,
            format: format.clone(),
            row: BytesMut::new(),
            next: 0,
        })
    }

    /// The line of the columns' names.
    pub fn header(&mut self, columns: &Schema) -> CopyData {
        for column in columns.fields() {
            self.begin_field();
            self.put(column.name().as_bytes(), false);
        }
        self.take_row()
    }

    /// Puts the delimiter before all but the first; returns the column's position.
    fn begin_field(&mut self) -> usize {
        if self.next > 0 {
            self.row.put_u8(self.format.delimiter);
        }
        self.next += 1;
        self.next - 1
    }

    fn put(&mut self, text: &[u8], is_quoted: bool) {
        let CsvFormat {
            delimiter,
            quote,
            escape,
            null,
            ..
        } = &self.format;
        let is_special =
            |byte: &u8| [delimiter, quote].contains(&byte) || matches!(byte, b'\n' | b'\r');
        let is_plain = text != null.as_bytes() && text != b"\\." && !text.iter().any(is_special);
        if is_plain && !is_quoted {
            self.row.put_slice(text);
            return;
        }
        self.row.put_u8(*quote);
        for byte in text {
            if [quote, escape].contains(&byte) {
                self.row.put_u8(*escape);
            }
            self.row.put_u8(*byte);
        }
        self.row.put_u8(*quote);
    }
}

impl Encoder for CsvEncoder {
    type Item = CopyData;

    fn encode_field<T>(&mut self, value: &T, info: &FieldInfo) -> PgWireResult<()>
    where
        T: ToSql + ToSqlText + Sized,
    {
        let position = self.begin_field();
        let is_quoted = self.quoted.get(position).copied().unwrap_or_default();
        let mut text = BytesMut::new();
        match value.to_sql_text(info.datatype(), &mut text, &FormatOptions::default())? {
            IsNull::Yes => self.row.put_slice(self.format.null.as_bytes()),
            IsNull::No => self.put(&text, is_quoted),
        }
        Ok(())
    }

    fn take_row(&mut self) -> CopyData {
        self.row.put_u8(b'\n');
        self.next = 0;
        CopyData::new(self.row.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};
    use pgwire::api::Type;
    use pgwire::api::results::FieldFormat;

    use super::*;
    use crate::sql::{CopyColumns, CopyHeader};

    fn encoder(quote: u8, escape: u8, force_quote: CopyColumns) -> CsvEncoder {
        let format = CsvFormat {
            header: CopyHeader::No,
            delimiter: b',',
            null: String::new(),
            quote,
            escape,
            force_quote,
            force_not_null: CopyColumns::None,
            force_null: CopyColumns::None,
        };
        let columns = ["a", "b,c"].map(|name| Field::new(name, DataType::Utf8, true));
        CsvEncoder::new(&format, &Schema::new(columns.to_vec())).expect("an encoder")
    }

    fn info() -> FieldInfo {
        FieldInfo::new("a".to_owned(), None, None, Type::TEXT, FieldFormat::Text)
    }

    #[test]
    fn what_is_no_plain_text_is_quoted() {
        let info = info();
        let mut encoder = encoder(b'"', b'"', CopyColumns::None);
        for (value, expected) in [
            (Some("a b"), "a b\n"),
            (Some(""), "\"\"\n"),
            (None, "\n"),
            (Some("\\."), "\"\\.\"\n"),
            (Some("a,\"b\""), "\"a,\"\"b\"\"\"\n"),
        ] {
            encoder.encode_field(&value, &info).expect("a field");
            assert_eq!(encoder.take_row().data, expected.as_bytes());
        }
        encoder.encode_field(&Some("x"), &info).expect("a field");
        encoder.encode_field(&None::<&str>, &info).expect("a field");
        assert_eq!(encoder.take_row().data, "x,\n".as_bytes());
    }

    #[test]
    fn columns_are_quoted_where_that_is_asked_with_the_signs_that_are_asked() {
        let info = info();
        let second = CopyColumns::Named(vec!["b,c".to_owned()]);
        let mut encoder = encoder(b'\'', b'\\', second);
        for (first, second, expected) in [
            (Some("x"), Some("y"), "x,'y'\n"),
            (Some("it's"), Some("a\\b"), "'it\\'s','a\\\\b'\n"),
            (Some("a\\b"), None, "a\\b,\n"),
        ] {
            encoder.encode_field(&first, &info).expect("a field");
            encoder.encode_field(&second, &info).expect("a field");
            assert_eq!(encoder.take_row().data, expected.as_bytes());
        }
        let columns = ["a", "b,c"].map(|name| Field::new(name, DataType::Utf8, true));
        let header = encoder.header(&Schema::new(columns.to_vec()));
        assert_eq!(header.data, "a,'b,c'\n".as_bytes());
    }
}
