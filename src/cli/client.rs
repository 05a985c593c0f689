//! Asks an engine: the running one through the Postgres wire protocol, or a stopped one by opening
//! its data directory in this process. Both give the same answers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use clap::Args;
use futures::TryStreamExt;

use super::failure::Failure;
use super::remote::Remote;
use crate::config::{self, Environment, Overrides, Settings};
use crate::engine::{Engine, EngineOptions, Outcome, Session};

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

/// Ends the statement that is running; one in this process ends when it is waited for no more.
pub struct Canceller(Option<tokio_postgres::CancelToken>);

impl Canceller {
    /// Asks the engine to end the statement.
    pub async fn cancel(&self) {
        if let Some(token) = &self.0 {
            // If the engine can't be asked, the connection is gone and the statement with it.
            let _ = token.cancel_query(tokio_postgres::NoTls).await;
        }
    }
}

/// A conversation with an engine in this process.
pub struct Local {
    session: Session,
    /// The engine, where it was opened for this conversation.
    opened: Option<Engine>,
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
            opened: None,
        })
    }

    /// Runs SQL text of any number of statements and returns their answers.
    pub async fn run(&mut self, sql: &str) -> Result<Vec<Answer>, Failure> {
        match self {
            Client::Remote(remote) => remote.run(sql).await,
            Client::Local(local) => local.run(sql).await,
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

    /// What ends a statement that is running.
    pub fn canceller(&self) -> Canceller {
        match self {
            Client::Remote(remote) => Canceller(Some(remote.cancel_token())),
            Client::Local(_) => Canceller(None),
        }
    }

    /// Ends the conversation; an engine opened for it is stopped.
    pub fn close(self) {
        if let Client::Local(Local {
            opened: Some(engine),
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
            opened: Some(engine),
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
                Outcome::Subscription(_) | Outcome::CopyOut { .. } => {
                    return Err(Failure::new(
                        "SUBSCRIBE and COPY … TO STDOUT need a running engine",
                        "start it with `mainstem run` and ask it, or send a SELECT",
                    ));
                }
                Outcome::CopyIn(target) => {
                    return Err(Failure::new(
                        format!("COPY {} FROM STDIN has no rows to read here", target.table),
                        "use psql with the running engine, or a source of kind csv",
                    ));
                }
            };
            answers.push(answer);
        }
        Ok(answers)
    }
}
