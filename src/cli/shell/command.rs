//! What a line of the conversation asks for: SQL, or a command that begins with a backslash.

use std::time::Duration;

use crate::cli::output::Format;

const WATCH_SECONDS: f64 = 2.0;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Command {
    /// The line is SQL.
    Sql,
    /// This SQL answers it.
    Ask(String),
    Watch(Duration),
    Timing,
    Format(Format),
    Help,
    Quit,
}

impl Command {
    /// Reads a line; the error says what is wrong with it.
    pub(super) fn parse(line: &str) -> Result<Command, String> {
        let line = line.trim();
        let Some(rest) = line.strip_prefix('\\') else {
            return Ok(match line.trim_end_matches(';') {
                "quit" | "exit" => Command::Quit,
                "help" => Command::Help,
                _ => Command::Sql,
            });
        };
        let mut words = rest.trim_end_matches(';').split_whitespace();
        let (word, argument) = (words.next().unwrap_or_default(), words.next());
        Ok(match (word, argument) {
            ("d", Some(name)) => Command::Ask(format!("SHOW COLUMNS FROM {name}")),
            ("d", None) => Command::Ask(relations("")),
            ("dt", _) => Command::Ask(relations("WHERE table_type = 'BASE TABLE'")),
            ("dv", _) => Command::Ask(relations("WHERE table_type = 'VIEW'")),
            ("watch", None) => Command::Watch(Duration::from_secs_f64(WATCH_SECONDS)),
            ("watch", Some(seconds)) => {
                let pause = seconds.parse().ok().and_then(|seconds| {
                    Duration::try_from_secs_f64(seconds)
                        .ok()
                        .filter(|pause| !pause.is_zero())
                });
                Command::Watch(pause.ok_or_else(|| {
                    format!("\\watch {seconds}: write a number of seconds, such as \\watch 0.5")
                })?)
            }
            ("timing", _) => Command::Timing,
            ("format", Some(format)) => Command::Format(format.parse()?),
            ("?" | "h" | "help", _) => Command::Help,
            ("q", _) => Command::Quit,
            (other, _) => return Err(format!("there is no command \\{other}; \\? lists them")),
        })
    }
}

/// Whether nothing is missing at the end of an input.
pub(super) fn is_complete(input: &str) -> bool {
    let text = input.trim();
    let is_word = ["quit", "exit", "help"].contains(&text);
    text.is_empty() || text.starts_with('\\') || text.ends_with(';') || is_word
}

fn relations(condition: &str) -> String {
    format!(
        "SELECT table_name AS name, table_type AS kind FROM information_schema.tables \
         {condition} ORDER BY table_name"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_with_a_semicolon() {
        for complete in ["SELECT 1;", "\\d", "exit", "", "SELECT\n1\n;\n"] {
            assert!(is_complete(complete), "{complete}");
        }
        assert!(!is_complete("SELECT 1"));
    }

    #[test]
    fn lines_are_sql_or_commands() {
        for (line, expected) in [
            ("SELECT 1;", Command::Sql),
            ("\\q", Command::Quit),
            ("exit;", Command::Quit),
            ("\\timing", Command::Timing),
            ("\\watch", Command::Watch(Duration::from_secs(2))),
            ("\\watch 0.5", Command::Watch(Duration::from_millis(500))),
            ("\\format csv", Command::Format(Format::Csv)),
            (
                "\\d orders",
                Command::Ask("SHOW COLUMNS FROM orders".to_owned()),
            ),
        ] {
            assert_eq!(Command::parse(line), Ok(expected), "{line}");
        }
        for wrong in [
            "\\watch never",
            "\\watch 0",
            "\\watch -1",
            "\\nonsense",
            "\\format xml",
        ] {
            assert!(Command::parse(wrong).is_err(), "{wrong}");
        }
    }
}
