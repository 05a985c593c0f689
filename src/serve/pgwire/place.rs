//! Where in the text that a client has sent something is wrong: clients show it under the text.

use crate::sql::{Place, SqlError};

/// The place of a refusal, in characters from 1; `None` where it is not known for certain.
pub fn position(error: &SqlError, text: &str) -> Option<usize> {
    match (error.place, &error.about) {
        (Some(place), about) => {
            let (position, rest) = at(place, text)?;
            // A prepared statement's places are in the text that it was prepared with.
            let is_there = about.as_ref().is_none_or(|name| begins_with(rest, name));
            is_there.then_some(position)
        }
        (None, Some(name)) => only_mention(text, name),
        (None, None) => None,
    }
}

/// The number of the character at a place, and the text from there on.
fn at(place: Place, text: &str) -> Option<(usize, &str)> {
    let (mut line, mut column) = (1, 1);
    // What is missing at the end has the place behind it.
    let end = (!text.is_empty()).then_some((text.len(), ' '));
    for (count, (offset, character)) in text.char_indices().chain(end).enumerate() {
        if (line, column) == (place.line, place.column) {
            return Some((count + 1, &text[offset..]));
        }
        (line, column) = match character {
            '\n' => (line + 1, 1),
            _ => (line, column + 1),
        };
    }
    None
}

/// Whether a text begins with a name, quoted or behind the name of a table.
fn begins_with(text: &str, name: &str) -> bool {
    let end = text.find(|character: char| !is_of_name(character) && !"\".".contains(character));
    let chain = &text[..end.unwrap_or(text.len())];
    let mut parts = chain.split('.');
    parts.any(|part| part.trim_matches('"').eq_ignore_ascii_case(name))
        || text.trim_start_matches('"').starts_with(name)
}

/// Where a name stands, if it stands once only.
fn only_mention(text: &str, name: &str) -> Option<usize> {
    let mut mentions = Vec::new();
    let (mut word, mut start) = (String::new(), 0);
    let ended = text.chars().chain([' ']).enumerate();
    for (count, character) in ended {
        if is_of_name(character) {
            if word.is_empty() {
                start = count + 1;
            }
            word.push(character);
            continue;
        }
        if !word.is_empty() && word.eq_ignore_ascii_case(name) {
            mentions.push(start);
        }
        word.clear();
    }
    match mentions[..] {
        [only] => Some(only),
        _ => None,
    }
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_of_the_whole_text() {
        let text = "SELECT 'ä',\n  t.nothing FROM t";
        let error = SqlError::new("42703", "there is no column nothing").about("nothing");
        let place = |line, column| error.clone().at(Place { line, column });
        assert_eq!(position(&place(2, 3), text), Some(15));
        assert_eq!(position(&place(2, 5), text), Some(17));
        assert_eq!(position(&place(1, 8), text), None);
        assert_eq!(position(&place(7, 1), text), None);
        assert_eq!(position(&error, text), Some(17));
        assert_eq!(position(&error, "UPDATE t SET nothing = nothing"), None);
        let unknown = SqlError::new("22012", "divide by zero");
        assert_eq!(position(&unknown, text), None);
    }
}
