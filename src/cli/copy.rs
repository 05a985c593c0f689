//! COPY between an engine and files, or what the command itself reads and writes.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use super::client::{Answer, Client};
use super::failure::Failure;
use super::scan::{Part, Scanner};
use crate::sql::{Statement, parse};

/// Files are read in pieces of this size.
const FILE_BYTES: usize = 64 << 10;

/// Gives rows, piece by piece, as they are written; `None` once there are no more.
pub type NextRows<'r> = dyn FnMut() -> Result<Option<Vec<u8>>, Failure> + 'r;

/// Where rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into a table.
    In,
    /// Out of a table or query.
    Out,
}

/// `\copy`: a COPY whose rows are in a file beside the command.
#[derive(Debug, PartialEq, Eq)]
pub struct FileCopy {
    /// The statement that the engine is sent.
    sql: String,
    direction: Direction,
    /// `None`: the rows are what the command reads or writes.
    file: Option<PathBuf>,
}

/// The direction of a text that is one COPY and nothing else.
pub fn direction(sql: &str) -> Option<Direction> {
    match &parse(sql).ok()?[..] {
        [Statement::Copy(_)] => Some(Direction::In),
        [Statement::CopyOut(_)] => Some(Direction::Out),
        _ => None,
    }
}

/// Runs a statement that begins with COPY. It is refused by the engine where it is none that can
/// be understood.
pub async fn run(
    client: &mut Client,
    sql: &str,
    next: &mut NextRows<'_>,
) -> Result<Vec<Answer>, Failure> {
    match direction(sql) {
        Some(Direction::In) => Ok(vec![client.copy_in(sql, next).await?]),
        Some(Direction::Out) => {
            let mut out = BufWriter::new(io::stdout().lock());
            client.copy_out(sql, &mut out).await?;
            Ok(Vec::new())
        }
        None => client.run(sql).await,
    }
}

impl FileCopy {
    /// Reads what follows `\copy`; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<FileCopy, String> {
        let text = text.trim().trim_end_matches(';').trim_end();
        let expected = "write \\copy table FROM 'file' (FORMAT csv), or \\copy (query) TO 'file'";
        let (source, direction, rest) = parted(text).ok_or(expected)?;
        let (target, options) = target(rest).ok_or(expected)?;
        let stream = match direction {
            Direction::In => "FROM STDIN",
            Direction::Out => "TO STDOUT",
        };
        let file = match target.to_lowercase().as_str() {
            "stdin" | "pstdin" if direction == Direction::In => None,
            "stdout" | "pstdout" if direction == Direction::Out => None,
            "program" => return Err("\\copy runs no programs; pipe the rows in or out".to_owned()),
            _ => Some(PathBuf::from(unquoted(target))),
        };
        Ok(FileCopy {
            sql: format!("COPY {source} {stream}{options}"),
            direction,
            file,
        })
    }

    /// Copies; `next` gives the rows where no file does.
    pub async fn run(
        &self,
        client: &mut Client,
        next: &mut NextRows<'_>,
    ) -> Result<Vec<Answer>, Failure> {
        let Some(path) = &self.file else {
            return run(client, &self.sql, next).await;
        };
        let unusable = |error: io::Error| {
            let what = format!("{}: {error}", path.display());
            Failure::new(
                what,
                "files of \\copy are named as they are from this directory",
            )
        };
        match self.direction {
            Direction::In => {
                let mut file = BufReader::new(File::open(path).map_err(unusable)?);
                let mut next = || -> Result<Option<Vec<u8>>, Failure> {
                    let mut rows = Vec::new();
                    let mut piece = file.by_ref().take(FILE_BYTES as u64);
                    piece.read_to_end(&mut rows).map_err(unusable)?;
                    Ok((!rows.is_empty()).then_some(rows))
                };
                Ok(vec![client.copy_in(&self.sql, &mut next).await?])
            }
            Direction::Out => {
                let mut file = BufWriter::new(File::create(path).map_err(unusable)?);
                client.copy_out(&self.sql, &mut file).await?;
                file.flush().map_err(unusable)?;
                Ok(vec![Answer::Done("COPY".to_owned())])
            }
        }
    }
}

/// What is copied, where to, and what stands behind FROM or TO.
fn parted(text: &str) -> Option<(&str, Direction, &str)> {
    let mut depth = 0usize;
    let mut start = None;
    let mut found = None;
    let mut look_at = |from: usize, to: usize, depth: usize| {
        let direction = match text[from..to].to_lowercase().as_str() {
            "from" => Direction::In,
            "to" => Direction::Out,
            _ => return,
        };
        if depth == 0 && from > 0 && found.is_none() {
            found = Some((from, direction, to));
        }
    };
    Scanner::default().scan(text, |position, character, part| {
        let is_of_word = part == Part::Code && (character.is_alphanumeric() || character == '_');
        match (is_of_word, start) {
            (true, None) => start = Some(position),
            (false, Some(from)) => {
                look_at(from, position, depth);
                start = None;
            }
            _ => {}
        }
        match character {
            '(' if part == Part::Code => depth += 1,
            ')' if part == Part::Code => depth = depth.saturating_sub(1),
            _ => {}
        }
    });
    let (from, direction, to) = found?;
    Some((text[..from].trim_end(), direction, text[to..].trim_start()))
}

/// The name of a file, or another word, and what is behind it.
fn target(text: &str) -> Option<(&str, &str)> {
    let end = match text.strip_prefix('\'') {
        None => text.find(|character: char| character.is_whitespace() || character == '('),
        Some(_) => {
            let mut end = None;
            Scanner::default().scan(text, |position, _, part| {
                if part != Part::Quoted {
                    end.get_or_insert(position);
                }
            });
            end
        }
    };
    let (target, options) = text.split_at(end.unwrap_or(text.len()));
    let is_name = match target.strip_prefix('\'') {
        None => !target.is_empty(),
        Some(quoted) => quoted.len() > 1 && quoted.ends_with('\''),
    };
    is_name.then_some((target, options))
}

fn unquoted(name: &str) -> String {
    let inner = name
        .strip_prefix('\'')
        .and_then(|name| name.strip_suffix('\''));
    inner.map_or(name.to_owned(), |inner| inner.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_copy_alone_has_a_direction() {
        for (sql, expected) in [
            ("COPY t FROM STDIN", Some(Direction::In)),
            ("copy t (a) from stdin csv;", Some(Direction::In)),
            ("COPY (SELECT 1) TO STDOUT;", Some(Direction::Out)),
            ("COPY (SUBSCRIBE TO t) TO STDOUT", Some(Direction::Out)),
            ("COPY t FROM 'file'", None),
            ("COPY nonsense", None),
            ("SELECT 1; COPY t FROM STDIN", None),
        ] {
            assert_eq!(direction(sql), expected, "{sql}");
        }
    }

    #[test]
    fn files_are_taken_out_of_the_statement() {
        for (text, sql, direction, file) in [
            (
                "t FROM 'a.csv'",
                "COPY t FROM STDIN",
                Direction::In,
                Some("a.csv"),
            ),
            (
                "t (\"from\", b) from a.csv CSV HEADER;",
                "COPY t (\"from\", b) FROM STDIN CSV HEADER",
                Direction::In,
                Some("a.csv"),
            ),
            (
                "(SELECT a FROM t WHERE b = ' to ') TO 'it''s here.csv'(FORMAT csv)",
                "COPY (SELECT a FROM t WHERE b = ' to ') TO STDOUT(FORMAT csv)",
                Direction::Out,
                Some("it's here.csv"),
            ),
            (
                "t to stdout csv",
                "COPY t TO STDOUT csv",
                Direction::Out,
                None,
            ),
            ("t FROM pstdin", "COPY t FROM STDIN", Direction::In, None),
        ] {
            let expected = FileCopy {
                sql: sql.to_owned(),
                direction,
                file: file.map(PathBuf::from),
            };
            assert_eq!(FileCopy::parse(text), Ok(expected), "{text}");
            assert!(super::direction(sql) == Some(direction), "{sql}");
        }
        for wrong in [
            "",
            "t",
            "t FROM",
            "FROM 'a'",
            "t FROM 'a",
            "t FROM program 'ls'",
        ] {
            assert!(FileCopy::parse(wrong).is_err(), "{wrong}");
        }
    }
}
