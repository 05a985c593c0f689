//! SQL text as it is read: statements, and rows of COPY between them.
//!
//! All statements up to the next COPY are one piece, which is sent as one text. Rows follow the line
//! of their COPY up to a line `\.`, or come from elsewhere, up to its end.

use std::io::{self, BufRead, Read};

use super::failure::Failure;
use super::scan::{Part, Scanner};

/// Longer SQL text than this is no question but a mistake, such as a binary file piped in.
const LONGEST_SQL_BYTES: usize = 64 << 20;

/// Rows are handed on in pieces of about this size.
const ROWS_BYTES: usize = 64 << 10;

/// What is to be done at once.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Statements.
    Sql(String),
    /// A statement that begins with COPY.
    Copy(String),
    /// A line that begins with a backslash.
    Command(String),
}

/// A text of which the beginning may have been read.
pub struct Script<'i> {
    text: Box<dyn BufRead + 'i>,
    /// Where rows are, if they are not between the statements.
    rows: Option<Box<dyn BufRead + 'i>>,
    /// What has been read of the text and not been given out.
    pending: String,
    /// Whether the next byte of the rows is the first of a line.
    is_line_start: bool,
    /// Whether the rows of this COPY are over.
    have_rows_ended: bool,
}

/// Statements of which some characters have been read.
#[derive(Default)]
struct Statements {
    text: String,
    scanner: Scanner,
    /// Where the statement begins that is being read.
    start: Option<usize>,
}

impl<'i> Script<'i> {
    /// A text with the rows of each COPY behind it.
    pub fn new(text: impl BufRead + 'i) -> Script<'i> {
        Script {
            text: Box::new(text),
            rows: None,
            pending: String::new(),
            is_line_start: true,
            have_rows_ended: false,
        }
    }

    /// A text whose rows come from elsewhere.
    pub fn with_rows(text: &'i str, rows: impl BufRead + 'i) -> Script<'i> {
        Script {
            rows: Some(Box::new(rows)),
            ..Script::new(text.as_bytes())
        }
    }

    /// The next piece of the text; `None` at its end.
    pub fn piece(&mut self) -> Result<Option<Piece>, Failure> {
        self.is_line_start = true;
        self.have_rows_ended = false;
        let mut statements = Statements::default();
        loop {
            let lines = match std::mem::take(&mut self.pending) {
                lines if lines.is_empty() => self.line(statements.text.len())?,
                lines => lines,
            };
            if lines.is_empty() {
                let (piece, rest) = statements.ended();
                self.pending = rest;
                return Ok(piece);
            }
            if statements.start.is_none()
                && !statements.scanner.is_inside()
                && lines.trim_start().starts_with('\\')
            {
                if statements.is_empty() {
                    let lines = lines.trim_start();
                    let (command, rest) = lines.split_once('\n').unwrap_or((lines, ""));
                    self.pending = rest.to_owned();
                    return Ok(Some(Piece::Command(command.trim_end().to_owned())));
                }
                self.pending = lines;
                return Ok(Some(Piece::Sql(statements.text)));
            }
            if let Some((piece, rest)) = statements.add(&lines) {
                self.pending = rest;
                return Ok(Some(piece));
            }
        }
    }

    /// The next rows of the COPY that was the last piece; `None` once there are no more.
    pub fn rows(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut rows = Vec::new();
        while rows.len() < ROWS_BYTES && !self.have_rows_ended {
            let start = rows.len();
            let input = self.rows.as_mut().unwrap_or(&mut self.text);
            let mut input = input.take(ROWS_BYTES as u64);
            let read = input.read_until(b'\n', &mut rows).map_err(|error| {
                let what = format!("the rows can't be read: {error}");
                Failure::new(what, "check where they come from")
            })?;
            let is_marker = matches!(&rows[start..], b"\\." | b"\\.\n" | b"\\.\r\n");
            if read == 0 || (self.is_line_start && is_marker) {
                rows.truncate(start);
                self.have_rows_ended = true;
            }
            self.is_line_start = rows.ends_with(b"\n");
        }
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// The next line of the text; empty at its end.
    fn line(&mut self, before_bytes: usize) -> Result<String, Failure> {
        let mut line = String::new();
        let most = LONGEST_SQL_BYTES.saturating_sub(before_bytes) + 1;
        match self.text.by_ref().take(most as u64).read_line(&mut line) {
            Ok(bytes) if bytes < most => Ok(line),
            Ok(_) => Err(Failure::new(
                format!("the SQL text is longer than {LONGEST_SQL_BYTES} bytes"),
                "send it in parts; load data with COPY or a source",
            )),
            Err(error) => Err(unreadable(&error)),
        }
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(
        format!("the SQL text can't be read: {error}"),
        "pipe UTF-8 text in, or give the SQL as an argument",
    )
}

impl Statements {
    fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Takes lines; once they end a COPY, the first piece and what is behind it.
    fn add(&mut self, lines: &str) -> Option<(Piece, String)> {
        let base = self.text.len();
        self.text.push_str(lines);
        let mut start = self.start;
        let mut copy = None;
        let text = &self.text;
        self.scanner.scan(lines, |position, character, part| {
            let is_comment = matches!(part, Part::LineComment | Part::Comment);
            if is_comment || character.is_whitespace() {
                return;
            }
            let begin = *start.get_or_insert(base + position);
            if part == Part::Code && character == ';' {
                start = None;
                if copy.is_none() && is_copy(&text[begin..]) {
                    copy = Some((begin, base + position + 1));
                }
            }
        });
        self.start = start;
        let (begin, end) = copy?;
        Some(self.split(begin, end))
    }

    /// What is left at the end of the text.
    fn ended(mut self) -> (Option<Piece>, String) {
        let copy = self.start.filter(|start| is_copy(&self.text[*start..]));
        match copy {
            Some(start) => {
                let (piece, rest) = self.split(start, self.text.len());
                (Some(piece), rest)
            }
            None if self.is_empty() => (None, String::new()),
            None => (Some(Piece::Sql(self.text)), String::new()),
        }
    }

    /// The COPY between these places, or first what is before it.
    fn split(&mut self, begin: usize, end: usize) -> (Piece, String) {
        let text = std::mem::take(&mut self.text);
        match text[..begin].trim().is_empty() {
            true => {
                let (copy, rest) = text.split_at(end);
                let is_blank = rest.trim().is_empty();
                let rest = if is_blank { "" } else { rest };
                (Piece::Copy(copy.to_owned()), rest.to_owned())
            }
            false => {
                let (before, rest) = text.split_at(begin);
                (Piece::Sql(before.to_owned()), rest.to_owned())
            }
        }
    }
}

fn is_copy(statement: &str) -> bool {
    let is_of_word = |character: char| character.is_alphanumeric() || character == '_';
    let word = statement.split(|character| !is_of_word(character)).next();
    word.is_some_and(|word| word.eq_ignore_ascii_case("copy"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pieces, and the rows behind each COPY.
    fn pieces(script: &mut Script<'_>) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(piece) = script.piece().expect("a piece") {
            let is_copy = matches!(piece, Piece::Copy(_));
            found.push(format!("{piece:?}"));
            while is_copy && let Some(rows) = script.rows().expect("rows") {
                found.push(String::from_utf8(rows).expect("text"));
            }
        }
        found
    }

    #[test]
    fn rows_stand_behind_the_line_of_their_copy() {
        let text = "CREATE TABLE t (a TEXT);\nINSERT INTO t VALUES ('copy;');\n\
                    COPY t FROM STDIN; SELECT 1;\n1;\n'2\n\\.\nSELECT\n2;\n-- 'last\n\
                    copy t\n  FROM STDIN CSV;\n3\n";
        let expected = [
            r#"Sql("CREATE TABLE t (a TEXT);\nINSERT INTO t VALUES ('copy;');\n")"#,
            r#"Copy("COPY t FROM STDIN;")"#,
            "1;\n'2\n",
            r#"Sql(" SELECT 1;\nSELECT\n2;\n-- 'last\n")"#,
            r#"Copy("copy t\n  FROM STDIN CSV;")"#,
            "3\n",
        ];
        assert_eq!(pieces(&mut Script::new(text.as_bytes())), expected);
    }

    #[test]
    fn rows_may_come_from_elsewhere() {
        let text = "COPY t FROM STDIN; SELECT 1; COPY t FROM STDIN";
        let mut script = Script::with_rows(text, "1\n\\.\n2\n\\.\r\n3\n".as_bytes());
        let expected = [
            r#"Copy("COPY t FROM STDIN;")"#,
            "1\n",
            r#"Sql(" SELECT 1; ")"#,
            r#"Copy("COPY t FROM STDIN")"#,
            "2\n",
        ];
        assert_eq!(pieces(&mut script), expected);
    }

    #[test]
    fn rows_come_in_pieces_whatever_they_are() {
        let long = "x".repeat(3 * ROWS_BYTES);
        let text = format!("COPY t FROM STDIN;\n{long}\\.\n\\.\nSELECT 1");
        let found = pieces(&mut Script::new(text.as_bytes()));
        let (last, rows) = found[1..].split_last().expect("rows");
        assert_eq!(rows.concat(), format!("{long}\\.\n"));
        assert_eq!(last, r#"Sql("SELECT 1")"#);
    }

    #[test]
    fn lines_with_a_backslash_are_commands() {
        let text = "SELECT 1;\n\\copy t FROM 'a.csv' CSV\n\nSELECT '\n\\n';\n";
        let expected = [
            r#"Sql("SELECT 1;\n")"#,
            r#"Command("\\copy t FROM 'a.csv' CSV")"#,
            r#"Sql("\nSELECT '\n\\n';\n")"#,
        ];
        assert_eq!(pieces(&mut Script::new(text.as_bytes())), expected);
    }

    #[test]
    fn nothing_gives_nothing_and_too_much_is_refused() {
        for text in ["", " \n\n"] {
            assert_eq!(
                Script::new(text.as_bytes()).piece().expect("no piece"),
                None
            );
        }
        let endless = io::BufReader::new(io::repeat(b'x'));
        let refused = Script::new(endless).piece().expect_err("too long");
        assert!(refused.to_string().contains("longer than"), "{refused}");
        let refused = Script::new(&b"\xff\n"[..]).piece().expect_err("no text");
        assert!(refused.to_string().contains("can't be read"), "{refused}");
    }
}
