//! `mainstem sql`: asks SQL of the running engine or of a stopped engine's directory.

use std::io::{self, IsTerminal};

use clap::Args;

use super::client::{Client, Target};
use super::copy::{self, FileCopy};
use super::failure::Failure;
use super::output::{self, Format};
use super::runtime;
use super::script::{Piece, Script};
use super::shell::Shell;

/// Asks SQL of the running engine, or of a stopped engine's data directory
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem sql \"SELECT channel, count(*) FROM orders GROUP BY channel\"
  mainstem sql --format csv \"SELECT * FROM customer_360\" > customers.csv
  mainstem sql --data-dir mainstem-data \"SHOW TABLES\"     (no engine is running)
  mainstem sql < questions.sql
  mainstem sql \"COPY sales FROM STDIN (FORMAT csv, HEADER)\" < sales.csv
  mainstem sql \"COPY sales TO STDOUT (FORMAT csv)\" > sales.csv

Without SQL text it is read from standard input, with the rows of each COPY … FROM STDIN behind it
up to a line \\.; on a terminal it becomes a conversation, with commands such as \\d and \\watch
(\\? lists them). Every statement sees all tables and views at one moment.")]
pub struct Sql {
    /// One or more statements, separated by semicolons
    pub sql: Option<String>,
    /// How rows are printed: table, json or csv
    #[arg(long, default_value = "table")]
    pub format: Format,
    #[command(flatten)]
    pub target: Target,
}

impl Sql {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let settings = self.target.settings()?;
        runtime()?.block_on(async {
            let mut client = Client::connect(&self.target, &settings).await?;
            let input = io::BufReader::new(io::stdin());
            let result = match &self.sql {
                Some(sql) => {
                    let script = Script::with_rows(sql, input);
                    answer(&mut client, script, self.format).await
                }
                None if io::stdin().is_terminal() => {
                    Shell::new(&mut client, self.format).run().await
                }
                None => answer(&mut client, Script::new(input), self.format).await,
            };
            client.close();
            result
        })
    }
}

/// Runs a text piece by piece, until one fails, and prints what each gives.
async fn answer(
    client: &mut Client,
    mut script: Script<'_>,
    format: Format,
) -> Result<(), Failure> {
    while let Some(piece) = script.piece()? {
        let answers = match &piece {
            Piece::Sql(sql) => client.run(sql).await?,
            Piece::Copy(sql) => copy::run(client, sql, &mut || script.rows()).await?,
            Piece::Command(line) => {
                let copied = file_copy(line)?;
                copied.run(client, &mut || script.rows()).await?
            }
        };
        output::print(&answers, format)?;
    }
    Ok(())
}

/// The only command with a backslash that is no help for people at a terminal.
fn file_copy(line: &str) -> Result<FileCopy, Failure> {
    let Some(text) = line.strip_prefix("\\copy ") else {
        return Err(Failure::new(
            format!("{line} is a command of the conversation on a terminal"),
            "in text that is piped in stand statements and \\copy",
        ));
    };
    FileCopy::parse(text).map_err(|problem| Failure::new(problem, ""))
}
