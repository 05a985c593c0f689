//! Asks an engine: the running one through the Postgres wire protocol, or a stopped one by opening
//! its data directory in this process. Both give the same answers.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use clap::Args;
use futures::TryStreamExt;

use super::copy::NextRows;
use super::failure::Failure;
use super::output;
use super::remote::Remote;
use crate::config::{self, Environment, Overrides, Settings};
use crate::engine::{Engine, EngineOptions, Outcome, Session};
use crate::serve::pgwire::in_process::{self, CopyError};

/// Which engine is asked.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Engine")]
pub struct Target {
    /// The settings file, for the address and the directories [default: mainstem.toml, if there
    /// is one]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Opens this data directory of a stopped engine instead of asking the running one
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the running engine serves Postgres clients [default: 127.0.0.1:7432]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "data_dir")]
    pub serve_pgwire: Option<String>,
}

impl Target {
    /// The settings this command works with.
    pub fn settings(&self) -> Result<Settings, Failure> {
        let overrides = Overrides {
            config: self.config.clone(),
            serve_pgwire: self.serve_pgwire.clone(),
            ..Overrides::default()
        };
        Ok(config::load(&overrides, &Environment::of_process())?)
    }
}

/// The answer to one statement.
#[derive(Debug)]
pub enum Answer {
    /// The rows of a query.
    Rows {
        /// The columns.
        schema: SchemaRef,
        /// The rows.
        batches: Vec<RecordBatch>,
    },
    /// A statement without rows: the command tag.
    Done(String),
}

/// A conversation with an engine.
pub enum Client {
    /// With the running engine.
    Remote(Remote),
    /// With an engine in this process.
    Local(Local),
}

/// A conversation with an engine in this process.
pub struct Local {
    session: Session,
    engine: Engine,
    /// Whether the engine was opened for this conversation.
    is_opened: bool,
}

impl Client {
    /// Opens the data directory if one is named, else connects to the running engine.
    pub async fn connect(target: &Target, settings: &Settings) -> Result<Client, Failure> {
        match &target.data_dir {
            Some(data_dir) => Ok(Client::Local(Local::open(data_dir, settings)?)),
            None => Ok(Client::Remote(Remote::connect(address(settings)?).await?)),
        }
    }

    /// A conversation with an engine that someone else opened and stops.
    pub fn of_engine(engine: &Engine) -> Client {
        Client::Local(Local {
            session: engine.session(),
            engine: engine.clone(),
            is_opened: false,
        })
    }

    /// Runs SQL text of any number of statements and returns their answers.
    pub async fn run(&mut self, sql: &str) -> Result<Vec<Answer>, Failure> {
        match self {
            Client::Remote(remote) => remote.run(sql).await,
            Client::Local(local) => local.run(sql).await,
        }
    }

    /// Runs a `COPY … FROM STDIN` with the rows that `next` gives.
    pub async fn copy_in(&mut self, sql: &str, next: &mut NextRows<'_>) -> Result<Answer, Failure> {
        let count = match self {
            Client::Remote(remote) => remote.copy_in(sql, next).await?,
            Client::Local(local) => local.copy_in(sql, next).await?,
        };
        Ok(Answer::Done(format!("COPY {count}")))
    }

    /// Runs a `COPY … TO STDOUT` and writes its rows.
    pub async fn copy_out(&mut self, sql: &str, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Client::Remote(remote) => remote.copy_out(sql, out).await,
            Client::Local(local) => local.copy_out(sql, out).await,
        }
    }

    /// Runs a statement whose rows have no end, and shows each as it comes.
    pub async fn follow(
        &mut self,
        sql: &str,
        show: &(dyn Fn(&[Option<&str>]) + Sync),
    ) -> Result<(), Failure> {
        match self {
            Client::Remote(remote) => remote.follow(sql, show).await,
            Client::Local(local) => local.run(sql).await.map(drop),
        }
    }

    /// Ends a statement whose answer is waited for no more; one in this process has ended with that.
    pub async fn end_statement(&self) {
        if let Client::Remote(remote) = self {
            remote.end_statement().await;
        }
    }

    /// Ends the conversation; an engine opened for it is stopped.
    pub fn close(self) {
        if let Client::Local(Local {
            engine,
            is_opened: true,
            ..
        }) = self
        {
            engine.shutdown();
        }
    }
}

fn address(settings: &Settings) -> Result<SocketAddr, Failure> {
    settings.serve.pgwire.ok_or_else(|| {
        Failure::new(
            "the settings switch the Postgres wire off, so a running engine can't be asked",
            "set serve.pgwire, or name a stopped engine's directory with --data-dir",
        )
    })
}

/// Fails if there is no such directory: opening would create it, and an empty answer from a
/// mistyped path is the worst answer.
pub fn check_data_dir(data_dir: &Path) -> Result<(), Failure> {
    match data_dir.is_dir() {
        true => Ok(()),
        false => Err(Failure::new(
            format!("there is no data directory {}", data_dir.display()),
            "name the directory that an engine has written, see data_dir in its settings",
        )),
    }
}

/// Opens the data directory of a stopped engine.
pub fn open_stopped(data_dir: &Path, settings: &Settings) -> Result<Engine, Failure> {
    check_data_dir(data_dir)?;
    Ok(Engine::open(EngineOptions {
        data_dir: data_dir.to_path_buf(),
        workers: settings.workers,
        history_ms: 0,
    })?)
}

impl Local {
    fn open(data_dir: &Path, settings: &Settings) -> Result<Local, Failure> {
        let engine = open_stopped(data_dir, settings)?;
        Ok(Local {
            session: engine.session(),
            engine,
            is_opened: true,
        })
    }

    async fn run(&mut self, sql: &str) -> Result<Vec<Answer>, Failure> {
        let mut answers = Vec::new();
        for statement in self.session.parse(sql)? {
            let answer = match self.session.execute(&statement, &[]).await? {
                Outcome::Rows(stream) | Outcome::Returned { rows: stream, .. } => Answer::Rows {
                    schema: stream.schema(),
                    batches: stream
                        .try_collect()
                        .await
                        .map_err(|error| Failure::new(error.to_string(), ""))?,
                },
                Outcome::Done(tag) => Answer::Done(tag),
                Outcome::Subscription(_) => return Err(no_changes()),
                Outcome::CopyIn(_) | Outcome::CopyOut { .. } => return Err(no_rows()),
            };
            answers.push(answer);
        }
        Ok(answers)
    }

    async fn copy_in(&mut self, sql: &str, next: &mut NextRows<'_>) -> Result<u64, Failure> {
        let mut count = 0;
        for statement in self.session.parse(sql)? {
            let Outcome::CopyIn(target) = self.session.execute(&statement, &[]).await? else {
                return Err(no_rows());
            };
            let (engine, session) = (&self.engine, &mut self.session);
            count += in_process::copy_in::<Failure>(engine, session, target, next).await?;
        }
        Ok(count)
    }

    async fn copy_out(&mut self, sql: &str, out: &mut dyn Write) -> Result<(), Failure> {
        for statement in self.session.parse(sql)? {
            let (rows, format) = match self.session.execute(&statement, &[]).await? {
                Outcome::CopyOut { is_live: true, .. } => return Err(no_changes()),
                Outcome::CopyOut { rows, format, .. } => (rows, format),
                _ => return Err(no_rows()),
            };
            match in_process::copy_out(rows, &format, out).await {
                Ok(()) => {}
                Err(CopyError::Output(error)) => output::finish(Err(error))?,
                Err(refused) => {
                    self.session.fail();
                    return Err(refused.into());
                }
            }
        }
        Ok(())
    }
}

fn no_changes() -> Failure {
    Failure::new(
        "SUBSCRIBE needs a running engine",
        "start it with `mainstem run` and ask it, or send a SELECT",
    )
}

fn no_rows() -> Failure {
    Failure::new(
        "rows of COPY are neither read nor written here",
        "send the COPY by `mainstem sql`, as a statement of its own",
    )
}
