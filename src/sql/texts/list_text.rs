//! Lists as Postgres writes them in text: `{1,2,NULL}`, `{"a b","c\"d"}`.
//!
//! Arrow writes `[1, 2, ]`.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};

use super::time_texts::texts_of;
use crate::sql::error::SqlError;
use crate::sql::planner::external;

/// Whether lists of a type are written here: all but those of structures and maps.
pub fn is_written(data_type: &DataType) -> bool {
    item_of(data_type).is_some_and(|item| {
        let is_simple = item.is_primitive()
            || item.is_string()
            || item.is_null()
            || matches!(item, DataType::Boolean | DataType::Binary);
        is_simple || is_written(item)
    })
}

fn item_of(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

/// Lists as texts.
pub fn of_lists(lists: &ArrayRef) -> Result<ArrayRef> {
    let lists = match lists.data_type() {
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            cast(lists, &DataType::List(Arc::clone(item)))?
        }
        _ => Arc::clone(lists),
    };
    let lists = lists.as_list::<i32>();
    let are_nested = item_of(&lists.value_type()).is_some();
    // Those of all lists at once.
    let elements = texts_of_elements(lists.values())?;
    let elements = elements.as_string::<i32>();
    let offsets = lists.value_offsets();
    let texts = (0..lists.len()).map(|row| {
        lists.is_valid(row).then(|| {
            let places = offsets[row] as usize..offsets[row + 1] as usize;
            let of_row =
                places.map(|place| elements.is_valid(place).then(|| elements.value(place)));
            of_elements(of_row, are_nested)
        })
    });
    bounded(texts)
}

/// As the elements of a list are written: truth values and bytes otherwise than by a cast.
fn texts_of_elements(elements: &ArrayRef) -> Result<ArrayRef> {
    match elements.data_type() {
        DataType::Boolean => {
            let truths = elements.as_boolean().iter();
            let texts = truths.map(|truth| truth.map(|truth| if truth { "t" } else { "f" }));
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        DataType::Binary => {
            let bytes = elements.as_binary::<i32>().iter();
            bounded(bytes.map(|bytes| bytes.map(hexadecimal)))
        }
        _ => texts_of(elements),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::from("\\x");
    for byte in bytes {
        // Writing to a text never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Texts of which there are not too many for one column.
fn bounded(texts: impl Iterator<Item = Option<String>>) -> Result<ArrayRef> {
    let mut built = StringBuilder::new();
    let mut bytes = 0_usize;
    for text in texts {
        bytes += text.as_ref().map_or(0, String::len);
        if i32::try_from(bytes).is_err() {
            return Err(ArrowError::OffsetOverflowError(bytes).into());
        }
        built.append_option(text);
    }
    Ok(Arc::new(built.finish()))
}

/// A list of such elements; lists among them need no quotes.
fn of_elements<'t>(elements: impl Iterator<Item = Option<&'t str>>, are_nested: bool) -> String {
    let mut text = String::from("{");
    for (position, element) in elements.enumerate() {
        if position > 0 {
            text.push(',');
        }
        match element {
            None => text.push_str("NULL"),
            Some(element) if are_nested || is_plain(element) => text.push_str(element),
            Some(element) => {
                let escaped = element.replace('\\', "\\\\").replace('"', "\\\"");
                text.push('"');
                text.push_str(&escaped);
                text.push('"');
            }
        }
    }
    text.push('}');
    text
}

fn is_plain(element: &str) -> bool {
    let is_special =
        |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\' | '\u{b}') || c.is_ascii_whitespace();
    !element.is_empty() && !element.eq_ignore_ascii_case("null") && !element.contains(is_special)
}

/// The elements of a list, of which `None` is NULL.
pub fn elements(text: &str) -> Result<Vec<Option<String>>> {
    let inner = between_braces(text);
    inner.and_then(read).ok_or_else(|| malformed(text.trim()))
}

/// The lists that a list of lists consists of, as texts. As in Postgres they have one length.
pub fn lists(text: &str) -> Result<Vec<&str>> {
    let lists = between_braces(text).and_then(parts);
    let lists = lists.ok_or_else(|| malformed(text.trim()))?;
    let lengths = lists.iter().map(|list| match list.starts_with('{') {
        true => between_braces(list)
            .and_then(parts)
            .map(|parts| parts.len()),
        false => None,
    });
    let lengths = lengths.collect::<Option<Vec<usize>>>().unwrap_or_default();
    let first = lengths.first().copied().unwrap_or_default();
    let is_even = first > 0 && lengths.iter().all(|length| *length == first);
    match is_even || lists.is_empty() {
        true => Ok(lists),
        false => Err(malformed(text.trim())),
    }
}

/// What stands between the braces of a list.
fn between_braces(text: &str) -> Option<&str> {
    let text = text.trim();
    // Where the positions begin may stand in front: [2:3]={1,2}.
    let list = match text.starts_with('[') {
        true => text.split_once('=').map_or("", |(_, list)| list.trim()),
        false => text,
    };
    list.strip_prefix('{')?.strip_suffix('}')
}

/// What stands between the commas of a list, but for those within its lists and quotes.
fn parts(inner: &str) -> Option<Vec<&str>> {
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut parts = Vec::new();
    let (mut begin, mut depth, mut is_quoted) = (0, 0_usize, false);
    let mut characters = inner.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next()?;
            }
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '{' => depth += 1,
            '}' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(inner[begin..place].trim());
                begin = place + 1;
            }
            _ => {}
        }
    }
    parts.push(inner[begin..].trim());
    (depth == 0 && !is_quoted).then_some(parts)
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
    use super::{elements, lists, of_elements};

    #[test]
    fn lists_are_written_as_postgres_writes_them() {
        let list = [
            Some("1"),
            None,
            Some("a b"),
            Some(""),
            Some("Null"),
            Some("x\"\\"),
        ];
        let written = of_elements(list.into_iter(), false);
        assert_eq!(written, r#"{1,NULL,"a b","","Null","x\"\\"}"#);
        let read = elements(&written).expect("a list");
        assert_eq!(read, list.map(|element| element.map(str::to_owned)));
        assert_eq!(of_elements([Some("{1,2}")].into_iter(), true), "{{1,2}}");
        assert_eq!(of_elements([].into_iter(), false), "{}");
    }

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

    #[test]
    fn lists_of_lists_are_taken_apart() {
        let text = r#" {{1,"}"}, {a\,b,NULL}} "#;
        assert_eq!(lists(text).expect(text), [r#"{1,"}"}"#, r"{a\,b,NULL}"]);
        assert_eq!(lists("{}").expect("an empty list"), [""; 0]);
        for text in [
            "{1,2}",
            "{{1},{2,3}}",
            "{{1},2}",
            "{{}}",
            "{{1}",
            "{{1},}",
            "{{1}}}",
        ] {
            assert!(lists(text).is_err(), "{text}");
        }
    }
}
