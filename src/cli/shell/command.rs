//! What a line of the conversation asks for: SQL, or a command that begins with a backslash.

use std::time::Duration;

use crate::cli::copy::FileCopy;
use crate::cli::output::Format;
use crate::cli::scan::{Part, Scanner};

const WATCH_SECONDS: f64 = 2.0;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Command {
    /// The line is SQL.
    Sql,
    /// This SQL answers it.
    Ask(String),
    Copy(FileCopy),
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
        if let Some(copy) = rest.strip_prefix("copy ") {
            return FileCopy::parse(copy).map(Command::Copy);
        }
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
    text.is_empty() || text.starts_with('\\') || is_word || ends_statement(text)
}

/// The entries of the history for an input: a statement in one line, or its lines where they can't
/// be put into one.
pub(super) fn in_one_line(input: &str) -> Vec<String> {
    match Scan::of(input).needs_lines {
        true => input.lines().map(str::to_owned).collect(),
        false => vec![input.lines().collect::<Vec<_>>().join(" ")],
    }
}

fn ends_statement(text: &str) -> bool {
    let scan = Scan::of(text);
    !scan.is_inside && scan.last == Some(';')
}

/// What a text of SQL ends in.
struct Scan {
    /// Whether a quote or comment is open at the end.
    is_inside: bool,
    /// The last character outside of comments and spaces.
    last: Option<char>,
    /// Whether the ends of its lines mean something.
    needs_lines: bool,
}

impl Scan {
    fn of(text: &str) -> Scan {
        let mut scan = Scan {
            is_inside: false,
            last: None,
            needs_lines: false,
        };
        let has_lines = text.contains('\n');
        let mut scanner = Scanner::default();
        scanner.scan(text, |_, character, part| {
            scan.needs_lines |= match part {
                Part::Quoted => character == '\n',
                Part::LineComment => has_lines,
                Part::Code | Part::Comment => false,
            };
            let is_comment = matches!(part, Part::LineComment | Part::Comment);
            if !is_comment && !character.is_whitespace() {
                scan.last = Some(character);
            }
        });
        scan.is_inside = scanner.is_inside();
        scan
    }
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
        for complete in [
            "SELECT 1;",
            "\\d",
            "exit",
            "",
            "SELECT\n1\n;\n",
            "SELECT 1; -- done",
            "SELECT 1; /* all /* of */ it */",
            "SELECT 'it''s' -- ; is\n;",
            "SELECT E'it\\'s';",
        ] {
            assert!(is_complete(complete), "{complete}");
        }
        for open in [
            "SELECT 1",
            "SELECT 'a;",
            "SELECT \"a;",
            "SELECT $$a;",
            "SELECT 1 -- ;",
            "SELECT 1 /* ;",
            "SELECT 1 /* /* */ ;",
            "SELECT 2 */",
        ] {
            assert!(!is_complete(open), "{open}");
        }
    }

    #[test]
    fn a_statement_is_remembered_in_one_line_where_it_can_be() {
        assert_eq!(in_one_line("SELECT\n  1;"), ["SELECT   1;"]);
        assert_eq!(in_one_line("SELECT -- one\n1;"), ["SELECT -- one", "1;"]);
        assert_eq!(in_one_line("SELECT 'a\nb';"), ["SELECT 'a", "b';"]);
        assert_eq!(in_one_line("SELECT 1; -- done"), ["SELECT 1; -- done"]);
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
            "\\copy",
            "\\copy t",
        ] {
            assert!(Command::parse(wrong).is_err(), "{wrong}");
        }
    }
}
