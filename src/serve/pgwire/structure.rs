//! Structures as Postgres writes them in text, `(4,)`: the library's NULL looks like an empty text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::datatypes::Field;
use arrow_pg::encoder::Encoder;
use bytes::BytesMut;
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::error::PgWireResult;
use pgwire::types::ToSqlText;
use tokio_postgres::types::{IsNull, ToSql};

use super::encode::{encode_one, encoded_column, wire_type};

/// A structure that is not NULL.
pub fn structure_text(
    structure: &StructArray,
    row: usize,
    info: &FieldInfo,
) -> PgWireResult<String> {
    let fields = structure.columns().iter().zip(structure.fields());
    let texts = fields.map(|(column, field)| match column.is_null(row) {
        true => Ok(String::new()),
        false => field_text(column, row, field, info).map(quoted),
    });
    let texts = texts.collect::<PgWireResult<Vec<String>>>()?;
    Ok(format!("({})", texts.join(",")))
}

fn field_text(
    column: &ArrayRef,
    row: usize,
    field: &Arc<Field>,
    structure: &FieldInfo,
) -> PgWireResult<Option<String>> {
    let options = Arc::clone(structure.format_options());
    let wire_type = wire_type(field)?;
    let info = FieldInfo::new(
        field.name().clone(),
        None,
        None,
        wire_type,
        FieldFormat::Text,
    )
    .with_format_options(options);
    let value = encoded_column(&column.slice(row, 1))?;
    let mut encoder = Text(None);
    encode_one(&mut encoder, &value, 0, field, &info)?;
    Ok(encoder.take_row())
}

/// Nothing for NULL, which Arrow also has as a type.
fn quoted(text: Option<String>) -> String {
    let Some(text) = text else {
        return String::new();
    };
    let is_special = |c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || c.is_whitespace();
    match text.is_empty() || text.contains(is_special) {
        true => {
            let doubled = text.replace('\\', r"\\").replace('"', "\"\"");
            format!("\"{doubled}\"")
        }
        false => text,
    }
}

/// Takes a value's text; `None`: it is NULL.
struct Text(Option<String>);

impl Encoder for Text {
    type Item = Option<String>;

    fn encode_field<T>(&mut self, value: &T, info: &FieldInfo) -> PgWireResult<()>
    where
        T: ToSql + ToSqlText + Sized,
    {
        let mut out = BytesMut::new();
        let options = info.format_options().as_ref();
        self.0 = match value.to_sql_text(info.datatype(), &mut out, options)? {
            IsNull::Yes => None,
            IsNull::No => Some(String::from_utf8_lossy(&out).into_owned()),
        };
        Ok(())
    }

    fn take_row(&mut self) -> Option<String> {
        self.0.take()
    }
}
