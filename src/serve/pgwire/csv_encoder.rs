//! Rows of `COPY … TO STDOUT` as comma-separated values.
//!
//! The library's own writes an empty text like NULL, and the end marker like any text, so that what
//! is copied out would come back as something else.

use arrow_pg::encoder::Encoder;
use bytes::{BufMut, BytesMut};
use pgwire::api::results::FieldInfo;
use pgwire::error::PgWireResult;
use pgwire::messages::copy::CopyData;
use pgwire::types::ToSqlText;
use pgwire::types::format::FormatOptions;
use tokio_postgres::types::{IsNull, ToSql};

/// Writes rows as Postgres does: quotes are around what would be read otherwise without them.
pub struct CsvEncoder {
    delimiter: u8,
    /// How NULL is written.
    null: String,
    row: BytesMut,
    is_first: bool,
}

impl CsvEncoder {
    /// An encoder of rows that has none yet.
    pub fn new(delimiter: u8, null: &str) -> CsvEncoder {
        CsvEncoder {
            delimiter,
            null: null.to_owned(),
            row: BytesMut::new(),
            is_first: true,
        }
    }

    fn put(&mut self, text: &[u8]) {
        let is_special = |byte: &u8| {
            let byte = *byte;
            byte == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r')
        };
        let is_plain =
            text != self.null.as_bytes() && text != b"\\." && !text.iter().any(is_special);
        if is_plain {
            self.row.put_slice(text);
            return;
        }
        self.row.put_u8(b'"');
        for byte in text {
            if *byte == b'"' {
                self.row.put_u8(b'"');
            }
            self.row.put_u8(*byte);
        }
        self.row.put_u8(b'"');
    }
}

impl Encoder for CsvEncoder {
    type Item = CopyData;

    fn encode_field<T>(&mut self, value: &T, info: &FieldInfo) -> PgWireResult<()>
    where
        T: ToSql + ToSqlText + Sized,
    {
        if !self.is_first {
            self.row.put_u8(self.delimiter);
        }
        self.is_first = false;
        let mut text = BytesMut::new();
        match value.to_sql_text(info.datatype(), &mut text, &FormatOptions::default())? {
            IsNull::Yes => self.row.put_slice(self.null.as_bytes()),
            IsNull::No => self.put(&text),
        }
        Ok(())
    }

    fn take_row(&mut self) -> CopyData {
        self.row.put_u8(b'\n');
        self.is_first = true;
        CopyData::new(self.row.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use pgwire::api::Type;
    use pgwire::api::results::FieldFormat;

    use super::*;

    #[test]
    fn what_is_no_plain_text_is_quoted() {
        let info = FieldInfo::new("a".to_owned(), None, None, Type::TEXT, FieldFormat::Text);
        let mut encoder = CsvEncoder::new(b',', "");
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
}
