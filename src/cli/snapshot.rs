//! `mainstem snapshot`: Parquet now.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::open_stopped;
use super::failure::Failure;
use super::output::print_text;
use super::runtime;
use super::snapshots::{self, Request, Response, Taken};
use crate::config::{self, Environment, Overrides, Settings};

/// Longer answers are no answers of an engine.
const LONGEST_ANSWER_BYTES: u64 = 16 << 20;

/// A snapshot is written within this time, or the engine is taken to be stuck.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Writes Parquet snapshots of views now
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem snapshot                             all views of the running engine
  mainstem snapshot customer_360 demand_daily   these
  mainstem snapshot --data-dir mainstem-data    of a stopped engine

All views of one snapshot are as they were at one moment. The running engine is asked over HTTP,
so serve.http must not be off; it writes below its own snapshot.dir. Read the files with
  SELECT * FROM 'mainstem-snapshots/customer_360/latest/*.parquet'    (DuckDB)")]
pub struct Snapshot {
    /// The views to write; all if none is named
    #[arg(value_name = "VIEW")]
    pub views: Vec<String>,
    /// The settings file [default: mainstem.toml, if there is one]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Opens this data directory of a stopped engine instead of asking the running one
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where snapshots of a stopped engine are written [default: mainstem-snapshots]
    #[arg(long, value_name = "DIR", requires = "data_dir")]
    pub snapshot_dir: Option<String>,
    /// Where the running engine serves HTTP
    #[arg(long, value_name = "ADDRESS", conflicts_with = "data_dir")]
    pub serve_http: Option<String>,
}

impl Snapshot {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let overrides = Overrides {
            config: self.config.clone(),
            snapshot_dir: self.snapshot_dir.clone(),
            serve_http: self.serve_http.clone(),
            ..Overrides::default()
        };
        let settings = config::load(&overrides, &Environment::of_process())?;
        let taken = match &self.data_dir {
            Some(data_dir) => {
                let engine = open_stopped(data_dir, &settings)?;
                let taken = snapshots::take(&engine, &self.views, &settings);
                engine.shutdown();
                taken?
            }
            None => runtime()?.block_on(ask(self.views, &settings))?,
        };
        print_text(&lines(&taken))
    }
}

fn lines(taken: &[Taken]) -> String {
    taken
        .iter()
        .map(|taken| format!("{}  {} rows\n", taken.directory.display(), taken.rows))
        .collect()
}

async fn ask(views: Vec<String>, settings: &Settings) -> Result<Vec<Taken>, Failure> {
    let Some(address) = settings.serve.http else {
        return Err(Failure::new(
            "the settings switch HTTP off, over which a running engine is asked",
            "set serve.http (--serve-http), or name a stopped engine's directory with --data-dir",
        ));
    };
    let body = serde_json::to_string(&Request { views }).unwrap_or_default();
    let request = format!(
        "POST /snapshot HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection
            .take(LONGEST_ANSWER_BYTES)
            .read_to_string(&mut answer)
            .await?;
        Ok::<String, std::io::Error>(answer)
    };
    let answer = match timeout(PATIENCE, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(no_answer(address, &error.to_string())),
        Err(_) => return Err(no_answer(address, "it takes too long")),
    };
    match body_of(&answer) {
        Some(Response::Taken(taken)) => Ok(taken),
        Some(Response::Error(message)) => {
            let message = message.trim_start_matches("error: ").to_owned();
            let (what, hint) = message.split_once("\n  ").unwrap_or((&message, ""));
            Err(Failure::new(what, hint))
        }
        None => Err(no_answer(address, "something else answers there")),
    }
}

fn body_of(answer: &str) -> Option<Response> {
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

fn no_answer(address: std::net::SocketAddr, reason: &str) -> Failure {
    Failure::new(
        format!("no engine answers over HTTP at {address}: {reason}"),
        "start one with `mainstem run`, or use --data-dir",
    )
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use axum::{Json, Router};
    use tokio::net::TcpListener;

    use super::*;

    /// Asks a server that answers every request for a snapshot with `answer`.
    async fn asked_of(answer: &'static str) -> Result<Vec<Taken>, Failure> {
        let echo = move |Json(request): Json<Request>| async move {
            assert_eq!(request.views, ["a"]);
            answer
        };
        let router = Router::new().route("/snapshot", post(echo));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(axum::serve(listener, router).into_future());
        let overrides = Overrides {
            serve_http: Some(address.to_string()),
            ..Overrides::default()
        };
        let settings = config::load_without_file(&overrides, &Environment::default());
        ask(vec!["a".into()], &settings.expect("good settings")).await
    }

    #[tokio::test]
    async fn the_running_engine_tells_what_it_wrote() {
        let answer = r#"{"taken":[{"view":"a","directory":"s/a/7","rows":3}]}"#;
        let taken = asked_of(answer).await.expect("an answer");
        assert_eq!(lines(&taken), "s/a/7  3 rows\n");
    }

    #[tokio::test]
    async fn its_failure_is_told_in_its_words() {
        let answer = r#"{"error":"error: there is no live view `a`\n  did you mean `b`?"}"#;
        let failure = asked_of(answer).await.expect_err("a failure");
        assert_eq!(
            failure.to_string(),
            "error: there is no live view `a`\n  did you mean `b`?"
        );
    }

    #[tokio::test]
    async fn another_server_is_no_engine() {
        let failure = asked_of("hello").await.expect_err("not an engine");
        assert!(failure.to_string().contains("something else"), "{failure}");
    }
}
