//! `mainstem sql` on a terminal: a conversation, statement by statement.

mod command;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::client::Client;
use super::failure::Failure;
use super::output::{self, Format};
use command::{Command, is_complete};

const PROMPT: &str = "mainstem> ";
const FURTHER_PROMPT: &str = "     ...> ";

const HELP: &str = "\
Statements end with a semicolon and may go over several lines.
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
    format: Format,
    has_timing: bool,
    /// What `\watch` runs again.
    last: Option<String>,
}

impl<'a> Shell<'a> {
    /// A conversation that prints rows in a format.
    pub fn new(client: &'a mut Client, format: Format) -> Shell<'a> {
        Shell {
            client,
            format,
            has_timing: true,
            last: None,
        }
    }

    /// Reads and answers statements until the end of input; errors don't end the conversation.
    pub async fn run(mut self) -> Result<(), Failure> {
        println!("mainstem {}; \\? for help", env!("CARGO_PKG_VERSION"));
        let mut input = String::new();
        loop {
            prompt(if input.is_empty() {
                PROMPT
            } else {
                FURTHER_PROMPT
            });
            match io::stdin().read_line(&mut input) {
                Ok(0) => return Ok(()),
                Ok(_) if !is_complete(&input) => {}
                Ok(_) => {
                    let line = std::mem::take(&mut input);
                    if !line.trim().is_empty() && self.obey(line.trim()).await {
                        return Ok(());
                    }
                }
                Err(error) => {
                    return Err(Failure::new(
                        format!("the terminal can't be read: {error}"),
                        "give the SQL as an argument, or pipe it in",
                    ));
                }
            }
        }
    }

    /// Does what a line says; whether it is the last.
    async fn obey(&mut self, line: &str) -> bool {
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
            _ = tokio::signal::ctrl_c() => {
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
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
}

fn prompt(text: &str) {
    print!("{text}");
    // A prompt that can't be drawn is no reason to stop.
    let _ = io::stdout().flush();
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
