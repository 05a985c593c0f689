//! Finds values in a line of JSON without making anything of them.

use std::collections::HashMap;

use serde::de::IgnoredAny;

/// Where a value is in its line: its first byte, and the one behind it.
pub type Span = (usize, usize);

/// Keys of a line whose places are remembered, at most.
const REMEMBERED: usize = 256;

/// The wanted keys, each with its position among them.
pub struct Keys {
    positions: HashMap<String, usize>,
    /// The keys of the last line in their order: the next line most likely has the same.
    last: Vec<(String, Option<usize>)>,
}

impl Keys {
    /// The keys in the order of their positions.
    pub fn new(names: Vec<String>) -> Keys {
        Keys {
            positions: names.into_iter().zip(0..).collect(),
            last: Vec::new(),
        }
    }

    /// The end of the key that stands at `start` of a line, where it is the `number`-th, and its
    /// position among the wanted ones.
    fn find(
        &mut self,
        number: usize,
        line: &str,
        start: usize,
    ) -> Result<(usize, Option<usize>), String> {
        let rest = line.as_bytes().get(start..).unwrap_or_default();
        if let Some((key, position)) = self.last.get(number)
            && rest.starts_with(key.as_bytes())
        {
            return Ok((start + key.len(), *position));
        }
        let end = value_end(line, start)?;
        let quoted = line.get(start..end).unwrap_or_default();
        if !quoted.starts_with('"') {
            return Err(format!("expected a key in quotes at byte {}", start + 1));
        }
        let position = match quoted.contains('\\') {
            true => {
                let key: String =
                    serde_json::from_str(quoted).map_err(|error| error.to_string())?;
                self.positions.get(&key).copied()
            }
            false => self.positions.get(quoted.trim_matches('"')).copied(),
        };
        if number < REMEMBERED {
            self.last.truncate(number);
            self.last.push((quoted.to_owned(), position));
        }
        Ok((end, position))
    }
}

/// Finds the values of the wanted keys in the JSON object that a line is. Of a repeated key the
/// last one counts.
pub fn split_object(
    line: &str,
    keys: &mut Keys,
    values: &mut [Option<Span>],
) -> Result<(), String> {
    let mut at = expect(line, 0, b'{').ok_or("the row is not a JSON object")?;
    if let Some(end) = expect(line, at, b'}') {
        return only_blanks_behind(line, end);
    }
    for number in 0.. {
        let start = skip_blanks(line, at);
        let (end, position) = keys.find(number, line, start)?;
        at = expect(line, end, b':').ok_or_else(|| format!("expected `:` at byte {}", end + 1))?;
        let value_start = skip_blanks(line, at);
        at = value_end(line, value_start)?;
        if let Some(position) = position
            && let Some(value) = values.get_mut(position)
        {
            *value = Some((value_start, at));
        }
        match expect(line, at, b',') {
            Some(next) => at = next,
            None => break,
        }
    }
    let end = expect(line, at, b'}');
    let end = end.ok_or_else(|| format!("expected `,` or `}}` at byte {}", at + 1))?;
    only_blanks_behind(line, end)
}

/// The end of the JSON value that starts at `start`.
fn value_end(line: &str, start: usize) -> Result<usize, String> {
    let rest = line.get(start..).unwrap_or_default();
    if let Some(length) = plain_value(rest.as_bytes()) {
        return Ok(start + length);
    }
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => Ok(start + values.byte_offset()),
        Some(Err(error)) => Err(format!("not JSON at byte {}: {error}", start + 1)),
        None => Err("the JSON ends too early".to_owned()),
    }
}

/// The length of the value at the start of a text if it is of the usual kinds: a text without
/// escapes, a number without an exponent, a word.
fn plain_value(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'"' => {
            let rest = text.get(1..)?;
            let at = first_special(rest)?;
            (rest.get(at) == Some(&b'"')).then_some(at + 2)
        }
        b'-' | b'0'..=b'9' => plain_number(text),
        b't' => text.starts_with(b"true").then_some(4),
        b'f' => text.starts_with(b"false").then_some(5),
        b'n' => text.starts_with(b"null").then_some(4),
        _ => None,
    }
}

/// The position of the first quote, backslash or control character, looked for in eight bytes at a
/// time.
fn first_special(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    // The high bit of each byte below a limit; wrong at most behind the first such byte.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, rest) = text.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = below(word, 0x20) | equal(word, b'"') | equal(word, b'\\');
        if special != 0 {
            return Some(8 * number + special.trailing_zeros() as usize / 8);
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    let behind = text.len() - rest.len();
    rest.iter().position(is_special).map(|at| behind + at)
}

/// The length of the number at the start of a text, if it has no exponent.
fn plain_number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let first = usize::from(text.first() == Some(&b'-'));
    let whole = digits(first);
    let has_leading_zero = whole > 1 && text.get(first) == Some(&b'0');
    let mut end = first + whole;
    if text.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        end += 1 + fraction;
        if fraction == 0 {
            return None;
        }
    }
    let is_plain = whole > 0 && !has_leading_zero && !matches!(text.get(end), Some(b'e' | b'E'));
    is_plain.then_some(end)
}

fn skip_blanks(line: &str, from: usize) -> usize {
    let rest = line.as_bytes().get(from..).unwrap_or_default();
    let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    from + blanks.count()
}

/// The position behind `wanted` if that is the next character that is not blank.
fn expect(line: &str, from: usize, wanted: u8) -> Option<usize> {
    let at = skip_blanks(line, from);
    (line.as_bytes().get(at) == Some(&wanted)).then_some(at + 1)
}

fn only_blanks_behind(line: &str, end: usize) -> Result<(), String> {
    match skip_blanks(line, end) == line.len() {
        true => Ok(()),
        false => Err(format!(
            "there is text behind the JSON object, at byte {}",
            end + 1
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(line: &str) -> Result<Vec<Option<String>>, String> {
        let mut keys = Keys::new(vec!["a".to_owned(), "b".to_owned()]);
        let mut values = vec![None; 2];
        split_object(line, &mut keys, &mut values)?;
        let text = |(start, end): Span| line[start..end].to_owned();
        Ok(values.into_iter().map(|value| value.map(text)).collect())
    }

    #[test]
    fn values_are_found_wherever_their_keys_stand() {
        let both = |a: &str, b: &str| Ok(vec![Some(a.to_owned()), Some(b.to_owned())]);
        assert_eq!(split(r#"{"a":1,"b":"x"}"#), both("1", r#""x""#));
        assert_eq!(
            split(r#" { "b" : -0.5e3 , "a" : [1,{"b":2}] } "#),
            both(r#"[1,{"b":2}]"#, "-0.5e3")
        );
        assert_eq!(
            split(r#"{"\u0061":true,"b":null,"b":false}"#),
            both("true", "false")
        );
        assert_eq!(split("{}"), Ok(vec![None, None]));
    }

    #[test]
    fn the_keys_of_one_line_do_not_bind_the_next() {
        let mut keys = Keys::new(vec!["a".to_owned(), "b".to_owned()]);
        for (line, a) in [
            (r#"{"a":1,"b":2}"#, "1"),
            (r#"{"b":2,"a":3}"#, "3"),
            (r#"{"c":0,"a":4}"#, "4"),
            (r#"{"a":5}"#, "5"),
        ] {
            let mut values = vec![None; 2];
            split_object(line, &mut keys, &mut values).expect("an object");
            let (start, end) = values[0].expect("it has the key");
            assert_eq!(&line[start..end], a);
        }
    }

    proptest! {
        #[test]
        fn the_first_special_byte_is_found(text in prop::collection::vec(
            prop_oneof![4 => any::<u8>(), 1 => Just(b'"'), 1 => 0x1eu8..0x24], 0..30,
        )) {
            let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            prop_assert_eq!(first_special(&text), text.iter().position(is_special));
        }

        /// What serde_json takes is taken with the same values, what it refuses is refused.
        #[test]
        fn lines_are_read_as_serde_json_reads_them(
            line in r#"\{("[ab]":("[a-c\\\t]{0,3}"|-?0?[0-9]{0,3}(\.[0-9]{0,2})?(e[0-9])?|true|nul|\[[0-9],?\]),?){0,3}\}?"#
        ) {
            let expected = serde_json::from_str::<HashMap<String, serde_json::Value>>(&line);
            match (split(&line), expected) {
                (Ok(found), Ok(expected)) => {
                    for (name, text) in ["a", "b"].iter().zip(found) {
                        let value = text.map(|text| serde_json::from_str(&text).expect("JSON"));
                        prop_assert_eq!(value.as_ref(), expected.get(*name), "{}", line);
                    }
                }
                (Err(_), Err(_)) => {}
                (found, expected) => {
                    prop_assert!(false, "{line}: {found:?} here, {expected:?} by serde_json");
                }
            }
        }
    }
}
