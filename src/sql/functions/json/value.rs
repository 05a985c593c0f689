//! Finding a value in JSON text.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A step from a value into one that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'k> {
    /// The member of an object.
    Member(&'k str),
    /// The element of a list, from 0; negative: from its end, with −1 for the last.
    Element(i64),
}

/// The value in a text that is reached by some steps, as it is written; `None` if the text is not
/// JSON or there is no such value. Of members with one name the last counts.
pub fn find<'j>(text: &'j str, steps: impl Iterator<Item = Option<Step<'j>>>) -> Option<&'j str> {
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    for step in steps {
        value = match step? {
            Step::Member(name) => member(value.get(), name)?,
            Step::Element(position) => element(value.get(), position)?,
        };
    }
    Some(value.get())
}

/// Whether a text is JSON.
pub fn is_valid(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The text that a value is, if it is one.
pub fn string(value: &str) -> Option<String> {
    value
        .starts_with('"')
        .then(|| serde_json::from_str(value).ok())?
}

/// The elements of a list as they are written.
pub fn elements(value: &str) -> Option<Vec<&RawValue>> {
    value
        .starts_with('[')
        .then(|| serde_json::from_str(value).ok())?
}

/// The names of the members of an object, each once, in the order they are written.
pub fn names(value: &str) -> Option<Vec<String>> {
    if !value.starts_with('{') {
        return None;
    }
    serde_json::Deserializer::from_str(value)
        .deserialize_map(Names)
        .ok()
}

fn member<'j>(object: &'j str, name: &str) -> Option<&'j RawValue> {
    if !object.starts_with('{') {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_str(object);
    reader.deserialize_map(Member(name)).ok()?
}

fn element(list: &str, position: i64) -> Option<&RawValue> {
    let elements = elements(list)?;
    let position = match usize::try_from(position) {
        Ok(position) => position,
        Err(_) => {
            let from_end = usize::try_from(position.unsigned_abs()).ok()?;
            elements.len().checked_sub(from_end)?
        }
    };
    elements.get(position).copied()
}

struct Member<'k>(&'k str);

impl<'j> Visitor<'j> for Member<'_> {
    type Value = Option<&'j RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = members.next_key_seed(IsName(self.0))? {
            if is_wanted {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares the name of a member without keeping it.
struct IsName<'k>(&'k str);

impl<'j> DeserializeSeed<'j> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'j>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

struct Names;

impl<'j> Visitor<'j> for Names {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut seen = std::collections::HashSet::new();
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = members.next_entry::<String, IgnoredAny>()? {
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// The number of elements of a list or of different members of an object.
pub fn length(value: &str) -> Option<usize> {
    match elements(value) {
        Some(elements) => Some(elements.len()),
        None => Some(names(value)?.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = r#" {"id": 12345678901234567890.50, "shop": {"name": "Stra\u00dfe", "open": true},
        "lines": [ {"sku": "a", "n": 1}, {"sku": "b", "n": null} ], "a.b": "", "id2": 1, "shop2": {}} "#;

    fn at<'j>(steps: &[Step<'j>]) -> Option<&'j str> {
        find(ORDER, steps.iter().map(|step| Some(*step)))
    }

    #[test]
    fn values_are_given_as_they_are_written() {
        use Step::{Element, Member};
        assert_eq!(at(&[]), Some(ORDER.trim()));
        assert_eq!(at(&[Member("id")]), Some("12345678901234567890.50"));
        let name = at(&[Member("shop"), Member("name")]);
        assert_eq!(name, Some(r#""Stra\u00dfe""#));
        assert_eq!(string(name.expect("a name")), Some("Straße".to_owned()));
        assert_eq!(
            at(&[Member("lines"), Element(1), Member("n")]),
            Some("null")
        );
        assert_eq!(
            at(&[Member("lines"), Element(-2), Member("sku")]),
            Some("\"a\"")
        );
        assert_eq!(at(&[Member("a.b")]), Some("\"\""));
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        use Step::{Element, Member};
        for steps in [
            &[Member("nothing")][..],
            &[Element(0)],
            &[Member("lines"), Member("sku")],
            &[Member("lines"), Element(2)],
            &[Member("lines"), Element(-3)],
            &[Member("lines"), Element(i64::MIN)],
            &[Member("id"), Member("x")],
        ] {
            assert_eq!(at(steps), None, "{steps:?}");
        }
        assert_eq!(
            find("{\"a\": 1", [Some(Step::Member("a"))].into_iter()),
            None
        );
        assert_eq!(
            find("{\"a\": 1} x", [Some(Step::Member("a"))].into_iter()),
            None
        );
        assert_eq!(find("", std::iter::empty()), None);
        assert_eq!(find("[1]", [None].into_iter()), None);
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let text = r#"{"a": 1, "b": 2, "a": 3}"#;
        assert_eq!(find(text, [Some(Step::Member("a"))].into_iter()), Some("3"));
        assert_eq!(length(text), Some(2));
        assert_eq!(names(text), Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn very_deep_text_is_no_danger() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let steps = std::iter::repeat_n(Some(Step::Element(0)), 3);
        let found = find(&deep, steps).map(str::len);
        assert!(found.is_none_or(|length| length == deep.len() - 6));
        assert!(is_valid(&deep) == found.is_some());
    }
}
