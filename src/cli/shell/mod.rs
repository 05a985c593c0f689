//! `mainstem sql` on a terminal: a conversation, statement by statement.

mod command;
mod completion;
mod editor;
mod history;
mod line;
mod raw;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use futures::FutureExt;
use tokio::sync::Notify;

use super::client::{Answer, Client};
use super::copy::{self, FileCopy};
use super::failure::Failure;
use super::output::{self, Format};
use super::script::{Piece, Script};
use command::{Command, in_one_line, is_complete};
use completion::Names;
use editor::{Editor, Entered};

const PROMPT: &str = "mainstem> ";
const FURTHER_PROMPT: &str = "     ...> ";
const ROW_PROMPT: &str = ">> ";

const HELP: &str = "\
Statements end with a semicolon and may go over several lines.
Tab completes words, the arrows fetch what was entered before.
Ctrl-C ends a running statement, Ctrl-D the conversation.

  \\d            tables and views          \\d NAME       columns of one
  \\dt           tables                    \\dv          views
  \\watch [S]    runs the last statement again every S seconds (2)
  \\copy T FROM 'FILE' [OPTIONS], \\copy T TO 'FILE' [OPTIONS]
                as COPY, with a file of this machine; T may be a (query) TO a file
  \\timing       tells how long statements take, or stops telling
  \\format F     prints rows as a table, json or csv
  \\q            the end
";

/// A conversation with an engine.
pub struct Shell<'a> {
    client: &'a mut Client,
    editor: Editor,
    format: Format,
    has_timing: bool,
    /// What `\watch` runs again.
    last: Option<String>,
    /// Tells of each Ctrl-C that no line has taken.
    interrupts: Arc<Notify>,
}

impl<'a> Shell<'a> {
    /// A conversation that prints rows in a format.
    pub fn new(client: &'a mut Client, format: Format) -> Shell<'a> {
        Shell {
            client,
            editor: Editor::new(),
            format,
            has_timing: true,
            last: None,
            interrupts: Arc::default(),
        }
    }

    /// Reads and answers statements until the end of input; errors don't end the conversation.
    pub async fn run(mut self) -> Result<(), Failure> {
        println!("mainstem {}; \\? for help", env!("CARGO_PKG_VERSION"));
        let interrupts = Arc::clone(&self.interrupts);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                interrupts.notify_one();
            }
        });
        self.learn_names().await;
        let mut input = String::new();
        loop {
            let prompt = if input.is_empty() {
                PROMPT
            } else {
                FURTHER_PROMPT
            };
            let line = match self.editor.read(prompt) {
                Ok(Entered::Line(line)) => line,
                Ok(Entered::GivenUp) => {
                    input.clear();
                    continue;
                }
                Ok(Entered::End) => return Ok(()),
                Err(error) => return Err(unreadable(&error)),
            };
            if !input.is_empty() {
                input.push('\n');
            }
            input.push_str(&line);
            if is_complete(&input) {
                let entered = std::mem::take(&mut input);
                for entry in in_one_line(&entered) {
                    self.editor.history.add(&entry);
                }
                let entered = entered.trim();
                if !entered.is_empty() && self.obey(entered).await {
                    return Ok(());
                }
            }
        }
    }

    /// Asks what there is to complete words with.
    async fn learn_names(&mut self) {
        let sql = "SELECT table_name, column_name FROM information_schema.columns \
                   WHERE table_schema = 'public'";
        // Without names there is nothing to complete, and all else works.
        if let Ok(answers) = self.client.run(sql).await {
            let names = answers.iter().flat_map(texts);
            self.editor.names = Names::new(names);
        }
    }

    /// Does what a line says; whether it is the last.
    async fn obey(&mut self, line: &str) -> bool {
        // What was pressed before there was anything to end.
        let _ = self.interrupts.notified().now_or_never();
        match Command::parse(line) {
            Ok(Command::Quit) => return true,
            Ok(Command::Help) => print!("{HELP}"),
            Ok(Command::Timing) => {
                self.has_timing = !self.has_timing;
                println!("timing is {}", if self.has_timing { "on" } else { "off" });
            }
            Ok(Command::Format(format)) => self.format = format,
            Ok(Command::Watch(pause)) => self.watch(pause).await,
            Ok(Command::Ask(sql)) => {
                self.answer(Asked::Sql(&sql)).await;
            }
            Ok(Command::Copy(copied)) => {
                self.answer(Asked::File(&copied)).await;
            }
            Ok(Command::Sql) => {
                self.answer_all(line).await;
                self.last = Some(line.to_owned());
                if ["create", "drop"].contains(&first_word(line).as_str()) {
                    self.learn_names().await;
                }
            }
            Err(problem) => eprintln!("{problem}"),
        }
        false
    }

    /// Runs SQL text, its COPYs one by one; whether it went well and to the end.
    async fn answer_all(&mut self, sql: &str) -> bool {
        let mut script = Script::new(sql.as_bytes());
        loop {
            let went_well = match script.piece() {
                Ok(None) => return true,
                Ok(Some(Piece::Copy(sql))) => self.answer(Asked::Copy(&sql)).await,
                Ok(Some(Piece::Sql(sql) | Piece::Command(sql))) => {
                    self.answer(Asked::Sql(&sql)).await
                }
                Err(failure) => {
                    eprintln!("{failure}");
                    false
                }
            };
            if !went_well {
                return false;
            }
        }
    }

    /// Runs what is asked and prints what it gives; whether it went well and to the end.
    async fn answer(&mut self, asked: Asked<'_>) -> bool {
        let started = Instant::now();
        let client = &mut *self.client;
        let editor = &mut self.editor;
        let mut is_first = true;
        let mut rows = || typed_row(editor, std::mem::take(&mut is_first));
        let answer = async {
            match asked {
                Asked::Sql(sql) if is_subscription(sql) => {
                    client.follow(sql, &print_row).await.map(|()| Vec::new())
                }
                Asked::Sql(sql) => client.run(sql).await,
                Asked::Copy(sql) => copy::run(client, sql, &mut rows).await,
                Asked::File(copied) => copied.run(client, &mut rows).await,
            }
        };
        let answers = tokio::select! {
            answers = answer => answers,
            () = self.interrupts.notified() => {
                self.client.end_statement().await;
                eprintln!("ended");
                return false;
            }
        };
        let printed = answers.and_then(|answers| output::print(&answers, self.format));
        if let Err(failure) = &printed {
            eprintln!("{failure}");
        }
        if self.has_timing {
            println!("{:.1} ms", started.elapsed().as_secs_f64() * 1e3);
        }
        printed.is_ok()
    }

    /// Runs the last statement again and again, until it fails or Ctrl-C.
    async fn watch(&mut self, pause: Duration) {
        let Some(sql) = self.last.clone() else {
            eprintln!("there is no statement yet that could be run again");
            return;
        };
        loop {
            if !self.answer_all(&sql).await {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.interrupts.notified() => return,
            }
        }
    }
}

/// What an engine is asked at once.
enum Asked<'a> {
    Sql(&'a str),
    Copy(&'a str),
    File(&'a FileCopy),
}

/// The next row for a COPY; the user is told how they end.
fn typed_row(editor: &mut Editor, is_first: bool) -> Result<Option<Vec<u8>>, Failure> {
    if is_first {
        println!("rows, one a line; \\. or Ctrl-D ends them, Ctrl-C gives them up");
    }
    match editor.read_row(ROW_PROMPT) {
        Ok(Entered::Line(line)) if line != "\\." => Ok(Some(format!("{line}\n").into_bytes())),
        Ok(Entered::Line(_) | Entered::End) => Ok(None),
        Ok(Entered::GivenUp) => Err(Failure::new("the rows were given up", "")),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(
        format!("the terminal can't be read: {error}"),
        "give the SQL as an argument, or pipe it in",
    )
}

/// The rows of two columns of text.
fn texts(answer: &Answer) -> Vec<(String, String)> {
    let Answer::Rows { batches, .. } = answer else {
        return Vec::new();
    };
    let rows = batches.iter().filter_map(|rows| {
        let column = |position| rows.column(position).as_string_opt::<i32>();
        let pairs = column(0)?.iter().zip(column(1)?);
        let pairs = pairs.filter_map(|(one, other)| Some((one?.to_owned(), other?.to_owned())));
        Some(pairs.collect::<Vec<_>>())
    });
    rows.flatten().collect()
}

fn print_row(cells: &[Option<&str>]) {
    let cells: Vec<&str> = cells.iter().map(|cell| cell.unwrap_or("NULL")).collect();
    println!("{}", cells.join(" | "));
}

fn first_word(sql: &str) -> String {
    sql.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_lowercase()
}

fn is_subscription(sql: &str) -> bool {
    first_word(sql) == "subscribe"
}
