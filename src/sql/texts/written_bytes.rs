//! Bytes as Postgres writes them in a text: `\x` and hexadecimal digits.

use arrow::array::{BinaryArray, StringArray};
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;

/// The bytes that a text stands for; a text that does not begin with `\x` stands for its own.
/// `None`: what follows is not hexadecimal.
pub fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else {
        return Some(text.as_bytes().to_vec());
    };
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    pairs.collect()
}

/// The bytes that texts stand for, or the text that stands for none.
pub fn of_texts(texts: &StringArray) -> Result<BinaryArray, String> {
    let bytes = texts.iter().map(|text| {
        let bytes = text.map(|text| {
            bytes_of(text).ok_or_else(|| format!("\"{text}\" is not hexadecimal behind \\x"))
        });
        bytes.transpose()
    });
    let bytes: Vec<Option<Vec<u8>>> = bytes.collect::<Result<_, String>>()?;
    Ok(bytes.into_iter().collect())
}

/// A text that is written beside bytes, as bytes where it stands for some.
pub fn beside_bytes(value: Expr) -> Expr {
    let bytes = match &value {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) if text.starts_with("\\x") => {
            bytes_of(text)
        }
        _ => None,
    };
    match bytes {
        Some(bytes) => Expr::Literal(ScalarValue::Binary(Some(bytes)), None),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_postgres_writes_them() {
        assert_eq!(bytes_of("\\x00fF"), Some(vec![0, 255]));
        assert_eq!(bytes_of("\\x"), Some(Vec::new()));
        assert_eq!(bytes_of("a\\x"), Some(b"a\\x".to_vec()));
        for wrong in ["\\x0", "\\x+1", "\\xgg", "\\xä"] {
            assert_eq!(bytes_of(wrong), None, "{wrong}");
        }
    }
}
