//! `${VARIABLE}` in paths, replaced by the value of the environment variable.
//!
//! An unset variable is an error rather than an empty text: an empty text would silently turn
//! `${DATA}/log` into `/log`.

use super::Environment;

/// Why a text can't be interpolated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterpolateError {
    /// The variable does not exist.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// `${` without `}`.
    #[error("`${{` is not closed by `}}`")]
    Unclosed,
    /// `${}` or a name with other characters than letters, digits and underscores.
    #[error("`{0}` is no name of an environment variable")]
    BadName(String),
}

/// Replaces each `${NAME}` in `text`; `$$` stands for a single `$`, any other `$` for itself.
pub fn interpolate(text: &str, environment: &Environment) -> Result<String, InterpolateError> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (name, after) = after.split_once('}').ok_or(InterpolateError::Unclosed)?;
            result.push_str(value_of(name, environment)?);
            rest = after;
        } else {
            result.push('$');
            rest = after;
        }
    }
    result.push_str(rest);
    Ok(result)
}

fn value_of<'e>(name: &str, environment: &'e Environment) -> Result<&'e str, InterpolateError> {
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(InterpolateError::BadName(name.to_owned()));
    }
    environment
        .get(name)
        .ok_or_else(|| InterpolateError::Unset(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String, InterpolateError> {
        let environment = Environment::from_pairs([("HOME", "/home/ada"), ("EMPTY", "")]);
        interpolate(text, &environment)
    }

    #[test]
    fn variables_are_replaced() {
        assert_eq!(run("${HOME}/data"), Ok("/home/ada/data".into()));
        assert_eq!(run("a${EMPTY}b${HOME}"), Ok("ab/home/ada".into()));
        assert_eq!(run("plain"), Ok("plain".into()));
    }

    #[test]
    fn other_dollars_stay() {
        assert_eq!(run("$HOME and 5$"), Ok("$HOME and 5$".into()));
        assert_eq!(run("$${HOME}"), Ok("${HOME}".into()));
    }

    #[test]
    fn mistakes_are_errors() {
        assert_eq!(
            run("${NONE}/x"),
            Err(InterpolateError::Unset("NONE".into()))
        );
        assert_eq!(run("${HOME"), Err(InterpolateError::Unclosed));
        assert_eq!(run("${}"), Err(InterpolateError::BadName("".into())));
        assert_eq!(run("${a-b}"), Err(InterpolateError::BadName("a-b".into())));
    }
}
