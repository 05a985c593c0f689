//! `mainstem sql` on a terminal: a conversation, statement by statement.

mod command;
mod completion;
mod editor;
mod history;
mod line;
mod raw;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use futures::FutureExt;
use tokio::sync::Notify;

use super::client::{Answer, Client};
use super::failure::Failure;
use super::output::{self, Format};
use command::{Command, in_one_line, is_complete};
use completion::Names;
use editor::{Editor, Entered};

const PROMPT: &str = "mainstem> ";
const FURTHER_PROMPT: &str = "     ...> ";

const HELP: &str = "\
Statements end with a semicolon and may go over several lines.
Tab completes words, the arrows fetch what was entered before.
Ctrl-C ends a running statement, Ctrl-D the conversation.

  \\d            tables and views          \\d NAME       columns of one
  \\dt           tables                    \\dv          views
  \\watch [S]    runs the last statement again every S seconds (2)
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
                Err(error) => {
                    return Err(Failure::new(
                        format!("the terminal can't be read: {error}"),
                        "give the SQL as an argument, or pipe it in",
                    ));
                }
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
                self.answer(&sql).await;
            }
            Ok(Command::Sql) => {
                self.answer(line).await;
                self.last = Some(line.to_owned());
                if ["create", "drop"].contains(&first_word(line).as_str()) {
                    self.learn_names().await;
                }
            }
            Err(problem) => eprintln!("{problem}"),
        }
        false
    }

    /// Runs SQL and prints what it gives; whether it went well and to the end.
    async fn answer(&mut self, sql: &str) -> bool {
        let started = Instant::now();
        let canceller = self.client.canceller();
        let answer = async {
            match is_subscription(sql) {
                true => self
                    .client
                    .follow(sql, &print_row)
                    .await
                    .map(|()| Vec::new()),
                false => self.client.run(sql).await,
            }
        };
        let answers = tokio::select! {
            answers = answer => answers,
            () = self.interrupts.notified() => {
                canceller.cancel().await;
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
            if !self.answer(&sql).await {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.interrupts.notified() => return,
            }
        }
    }
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
