//! Reads lines from a terminal: with a cursor, a history, and completion of words.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use console::{Key, Term, measure_text_width};

use super::completion::{Completion, Names};
use super::history::History;
use super::line::Line;
use super::raw::RawMode;

/// Candidates that are listed; more would scroll away what the user is doing.
const LISTED_MAX: usize = 100;

/// What is shown in the place of a tab.
const TAB: &str = "→";

/// What the user has entered.
pub(super) enum Entered {
    Line(String),
    /// Ctrl-C: the line is given up.
    GivenUp,
    /// Ctrl-D: the conversation is over.
    End,
}

/// The user's terminal.
pub(super) struct Editor {
    term: Term,
    pub(super) history: History,
    pub(super) names: Names,
    /// Whether Tab stands for itself, as between values of a row.
    takes_tabs: bool,
    /// Rows between the one where the prompt begins and the one of the cursor.
    row: usize,
}

/// What a key has done.
enum Step {
    /// The line is to be drawn anew.
    Draw,
    Done(Entered),
}

impl Editor {
    /// The terminal of standard input and output.
    pub(super) fn new() -> Editor {
        Editor {
            term: Term::stdout(),
            history: History::of_user(),
            names: Names::default(),
            takes_tabs: false,
            row: 0,
        }
    }

    /// Reads a row of data: a line in which no words are completed.
    pub(super) fn read_row(&mut self, prompt: &str) -> io::Result<Entered> {
        self.takes_tabs = true;
        let entered = self.read(prompt);
        self.takes_tabs = false;
        entered
    }

    /// Reads a line, without its end.
    pub(super) fn read(&mut self, prompt: &str) -> io::Result<Entered> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if is_dumb || !self.term.is_term() {
            return read_plainly(prompt);
        }
        let _raw = RawMode::enter();
        let mut line = Line::default();
        self.row = 0;
        self.draw(prompt, &line)?;
        loop {
            let key = match self.term.read_key_raw() {
                Ok(key) => key,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Entered::End);
                }
                Err(error) => return Err(error),
            };
            match self.press(key, &mut line)? {
                Step::Draw => self.draw(prompt, &line)?,
                Step::Done(entered) => {
                    // What has been entered stays as it is, with the cursor below it.
                    line.end();
                    self.draw(prompt, &line)?;
                    self.term.write_line(match entered {
                        Entered::GivenUp => "^C",
                        _ => "",
                    })?;
                    return Ok(entered);
                }
            }
        }
    }

    fn press(&mut self, key: Key, line: &mut Line) -> io::Result<Step> {
        match key {
            Key::Enter => return Ok(Step::Done(Entered::Line(line.text().to_owned()))),
            Key::CtrlC => return Ok(Step::Done(Entered::GivenUp)),
            Key::Char('\x04') if line.text().is_empty() => return Ok(Step::Done(Entered::End)),
            Key::Tab if self.takes_tabs => line.insert("\t"),
            Key::Tab => self.complete(line)?,
            Key::ArrowUp | Key::Char('\x10') => {
                if let Some(entry) = self.history.older(line.text()) {
                    *line = Line::new(entry);
                }
            }
            Key::ArrowDown | Key::Char('\x0e') => {
                if let Some(entry) = self.history.newer() {
                    *line = Line::new(entry);
                }
            }
            Key::Char('\x0c') => {
                self.term.clear_screen()?;
                self.row = 0;
            }
            other => edit(other, line),
        }
        Ok(Step::Draw)
    }

    /// Completes the word before the cursor as far as it is clear, else lists what is possible.
    fn complete(&mut self, line: &mut Line) -> io::Result<()> {
        let completion = self.names.complete(line.before_cursor());
        let word = &line.before_cursor()[completion.start..];
        let common = completion.common();
        match &completion.candidates[..] {
            [] => {}
            [only] => line.replace_from(completion.start, &format!("{only} ")),
            _ if common.len() > word.len() => line.replace_from(completion.start, common),
            _ => self.list(&completion)?,
        }
        Ok(())
    }

    fn list(&mut self, completion: &Completion) -> io::Result<()> {
        let candidates = &completion.candidates;
        let shown = &candidates[..candidates.len().min(LISTED_MAX)];
        let mut text = shown.join("  ");
        if shown.len() < candidates.len() {
            // Writing to a text cannot fail.
            let _ = write!(text, "  … {} in all", candidates.len());
        }
        self.row = 0;
        self.term.write_line("")?;
        self.term.write_line(&text)
    }

    /// Draws the prompt and the line in the place of what was drawn before.
    fn draw(&mut self, prompt: &str, line: &Line) -> io::Result<()> {
        let width = usize::from(self.term.size().1).max(1);
        // A tab would be as wide as its place is.
        let shown = line.text().replace('\t', TAB);
        let before_cursor = line.before_cursor().replace('\t', TAB);
        let end = measure_text_width(prompt) + measure_text_width(&shown);
        let cursor = measure_text_width(prompt) + measure_text_width(&before_cursor);
        let mut text = up(self.row);
        // To the beginning; everything behind it goes.
        text.push_str("\r\x1b[J");
        text.push_str(prompt);
        text.push_str(&shown);
        if end > 0 && end.is_multiple_of(width) {
            // A terminal goes to the next row only with the next character.
            text.push_str("\r\n");
        }
        text.push_str(&up(end / width - cursor / width));
        text.push('\r');
        if !cursor.is_multiple_of(width) {
            let _ = write!(text, "\x1b[{}C", cursor % width);
        }
        self.row = cursor / width;
        self.term.write_str(&text)?;
        self.term.flush()
    }
}

/// Moves the cursor up by some rows.
fn up(rows: usize) -> String {
    match rows {
        0 => String::new(),
        rows => format!("\x1b[{rows}A"),
    }
}

fn edit(key: Key, line: &mut Line) {
    match key {
        Key::ArrowLeft | Key::Char('\x02') => line.left(),
        Key::ArrowRight | Key::Char('\x06') => line.right(),
        Key::Home | Key::Char('\x01') => line.home(),
        Key::End | Key::Char('\x05') => line.end(),
        Key::Backspace => line.backspace(),
        Key::Del | Key::Char('\x04') => line.delete(),
        Key::Char('\x0b') => line.delete_to_end(),
        Key::Char('\x15') => line.delete_to_start(),
        Key::Char('\x17') => line.delete_word(),
        Key::Char(c) if !c.is_control() => line.insert(c.encode_utf8(&mut [0; 4])),
        _ => {}
    }
}

/// Reads a line where there is no cursor to move.
fn read_plainly(prompt: &str) -> io::Result<Entered> {
    print!("{prompt}");
    io::stdout().flush()?;
    let mut line = String::new();
    match io::stdin().read_line(&mut line)? {
        0 => Ok(Entered::End),
        _ => Ok(Entered::Line(
            line.trim_end_matches(['\n', '\r']).to_owned(),
        )),
    }
}
