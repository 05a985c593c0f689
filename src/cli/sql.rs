//! `mainstem sql`: asks SQL of the running engine or of a stopped engine's directory.

use std::io::{self, IsTerminal, Read};

use clap::Args;

use super::client::{Client, Target};
use super::failure::Failure;
use super::output::{self, Format};
use super::runtime;
use super::shell::Shell;

/// Longer SQL text than this is no question but a mistake, such as a binary file piped in.
const LONGEST_SQL_BYTES: u64 = 64 << 20;

/// Asks SQL of the running engine, or of a stopped engine's data directory
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem sql \"SELECT channel, count(*) FROM orders GROUP BY channel\"
  mainstem sql --format csv \"SELECT * FROM customer_360\" > customers.csv
  mainstem sql --data-dir mainstem-data \"SHOW TABLES\"     (no engine is running)
  mainstem sql < questions.sql

Without SQL text it is read from standard input; on a terminal it becomes a conversation, with
commands such as \\d and \\watch (\\? lists them). Every statement sees all
tables and views at one moment.")]
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
            let result = match &self.sql {
                Some(sql) => answer(&mut client, sql, self.format).await,
                None if io::stdin().is_terminal() => {
                    Shell::new(&mut client, self.format).run().await
                }
                None => answer(&mut client, &read_input()?, self.format).await,
            };
            client.close();
            result
        })
    }
}

async fn answer(client: &mut Client, sql: &str, format: Format) -> Result<(), Failure> {
    output::print(&client.run(sql).await?, format)
}

fn read_input() -> Result<String, Failure> {
    let mut sql = String::new();
    let read = io::stdin()
        .take(LONGEST_SQL_BYTES + 1)
        .read_to_string(&mut sql);
    match read {
        Ok(_) if sql.len() as u64 > LONGEST_SQL_BYTES => Err(Failure::new(
            format!("the SQL text is longer than {LONGEST_SQL_BYTES} bytes"),
            "send it in parts; load data with COPY or a source",
        )),
        Ok(_) => Ok(sql),
        Err(error) => Err(Failure::new(
            format!("the SQL text can't be read: {error}"),
            "pipe UTF-8 text in, or give the SQL as an argument",
        )),
    }
}
