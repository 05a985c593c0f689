//! Lists as Postgres writes them in text: `{1,2,NULL}`, `{"a b","c\"d"}`.

use datafusion::error::{DataFusionError, Result};

use crate::sql::error::SqlError;
use crate::sql::planner::external;

/// The elements of a list, of which `None` is NULL.
pub fn elements(text: &str) -> Result<Vec<Option<String>>> {
    let text = text.trim();
    // Where the positions begin may stand in front: [2:3]={1,2}.
    let list = match text.starts_with('[') {
        true => text.split_once('=').map_or("", |(_, list)| list.trim()),
        false => text,
    };
    let inner = list
        .strip_prefix('{')
        .and_then(|list| list.strip_suffix('}'));
    inner.and_then(read).ok_or_else(|| malformed(text))
}

fn malformed(text: &str) -> DataFusionError {
    let message = format!("'{text}' is no list of values");
    external(SqlError::new("22P02", message).with_hint("a list is written '{1,2}' or ARRAY[1, 2]"))
}

/// What stands between the braces; `None` where it makes no sense, or is a list of lists.
fn read(inner: &str) -> Option<Vec<Option<String>>> {
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut elements = Vec::new();
    let mut element = Element::default();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' => elements.push(std::mem::take(&mut element).value()?),
            '{' | '}' => return None,
            '"' if element.text.is_empty() && !element.is_quoted => {
                element.is_quoted = true;
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => element.text.push(characters.next()?),
                        other => element.text.push(other),
                    }
                }
            }
            space if space.is_whitespace() && (element.is_quoted || element.text.is_empty()) => {}
            _ if element.is_quoted => return None,
            '"' => return None,
            '\\' => element.text.push(characters.next()?),
            other => element.text.push(other),
        }
    }
    elements.push(element.value()?);
    Some(elements)
}

#[derive(Default)]
struct Element {
    text: String,
    is_quoted: bool,
}

impl Element {
    fn value(self) -> Option<Option<String>> {
        if self.is_quoted {
            return Some(Some(self.text));
        }
        match self.text.trim_end() {
            "" => None,
            null if null.eq_ignore_ascii_case("null") => Some(None),
            text => Some(Some(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::elements;

    #[test]
    fn lists_are_read_as_postgres_writes_them() {
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("{}", vec![]),
            ("{1, 2 ,null}", vec![some("1"), some("2"), None]),
            ("[2:3]={a,b c}", vec![some("a"), some("b c")]),
            (
                r#"{"", "NULL", "a\"b\\", " c,}" }"#,
                vec![some(""), some("NULL"), some("a\"b\\"), some(" c,}")],
            ),
        ] {
            assert_eq!(elements(text).expect(text), expected, "{text}");
        }
        for text in ["", "1,2", "{1", "{1,}", "{{1},{2}}", r#"{"a"b}"#, r#"{"a}"#] {
            assert!(elements(text).is_err(), "{text}");
        }
    }
}
