//! Bytes as Postgres reads them in a text: `\x` and hexadecimal digits, or the bytes of the text
//! itself, of which some stand as `\001` and a backslash as two.

use arrow::array::{BinaryArray, StringArray};
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;

/// The bytes that a text stands for; `None`: what follows a backslash makes no sense.
pub fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else {
        return escaped(text.as_bytes());
    };
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    pairs.collect()
}

/// The bytes of a text without `\x`: three octal digits behind a backslash are one of them.
fn escaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match (*first, behind) {
            (b'\\', [b'\\', behind @ ..]) => (b'\\', behind),
            (
                b'\\',
                [
                    high @ b'0'..=b'3',
                    middle @ b'0'..=b'7',
                    low @ b'0'..=b'7',
                    behind @ ..,
                ],
            ) => {
                let digits = [high, middle, low].map(|digit| *digit - b'0');
                let [high, middle, low] = digits;
                ((high << 6) | (middle << 3) | low, behind)
            }
            (b'\\', _) => return None,
            (other, behind) => (other, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    Some(bytes)
}

/// Why a text stands for no bytes.
pub fn refusal(text: &str) -> String {
    match text.starts_with("\\x") {
        true => format!("\"{text}\" is not hexadecimal behind \\x"),
        false => {
            format!("\"{text}\": behind a backslash stand three octal digits, or another backslash")
        }
    }
}

/// The bytes that texts stand for, or the text that stands for none.
pub fn of_texts(texts: &StringArray) -> Result<BinaryArray, String> {
    let bytes = texts.iter().map(|text| {
        let bytes = text.map(|text| bytes_of(text).ok_or_else(|| refusal(text)));
        bytes.transpose()
    });
    let bytes: Vec<Option<Vec<u8>>> = bytes.collect::<Result<_, String>>()?;
    Ok(bytes.into_iter().collect())
}

/// A text that is written beside bytes, as bytes where it stands for some.
pub fn beside_bytes(value: Expr) -> Expr {
    let bytes = match &value {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) if text.contains('\\') => bytes_of(text),
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
        assert_eq!(bytes_of("aä"), Some("aä".as_bytes().to_vec()));
        assert_eq!(bytes_of("a\\001\\377"), Some(vec![b'a', 1, 255]));
        assert_eq!(bytes_of("\\\\x0"), Some(b"\\x0".to_vec()));
        for wrong in [
            "\\x0", "\\x+1", "\\xgg", "\\xä", "a\\x", "a\\", "\\01", "\\400", "\\008",
        ] {
            assert_eq!(bytes_of(wrong), None, "{wrong}");
        }
    }
}
