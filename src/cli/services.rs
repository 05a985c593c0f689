//! What listens for clients while the engine runs.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch::{self, Sender};
use tokio::task::JoinHandle;

use super::definitions::NamedQueries;
use super::failure::Failure;
use super::snapshots::Snapshots;
use super::stop::Stop;
use crate::config::ServeSettings;
use crate::engine::Engine;
use crate::serve::http::{self, HttpOptions};
use crate::serve::pgwire::{self, AtWork, PgwireOptions};
use crate::serve::restoring::{self, Notice};

/// How long clients may finish what they are at when the engine ends.
pub const GRACE: Duration = Duration::from_secs(2);

/// The sockets of the services that are switched on.
pub struct Listeners {
    /// For Postgres clients.
    pub pgwire: Option<TcpListener>,
    /// For HTTP.
    pub http: Option<TcpListener>,
    /// What one client and all of them may take.
    limits: PgwireOptions,
}

/// Services that run.
pub struct Serving {
    /// The Postgres clients that wait for an answer.
    at_work: AtWork,
    /// Ends with the last HTTP connection, once a stop is requested.
    http: Option<JoinHandle<()>>,
}

/// Services that refuse clients while the engine restores.
pub struct Waiting {
    stop: Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

impl Listeners {
    /// Refuses whoever connects, with how far restoring is, until the end is asked for; needs a
    /// tokio runtime.
    pub fn refuse_for_now(&self, notice: &Notice) -> io::Result<Waiting> {
        let (stop, stopped) = watch::channel(());
        let stopped = || {
            let mut stopped = stopped.clone();
            // The sender going away ends it, too.
            async move { drop(stopped.changed().await) }
        };
        let mut tasks = Vec::new();
        if let Some(listener) = &self.pgwire {
            let refused = restoring::pgwire(doubled(listener)?, notice.clone(), stopped());
            tasks.push(tokio::spawn(refused));
        }
        if let Some(listener) = &self.http {
            let refused = restoring::http(doubled(listener)?, notice.clone(), stopped());
            tasks.push(tokio::spawn(refused));
        }
        Ok(Waiting { stop, tasks })
    }
}

impl Waiting {
    /// Refuses nobody any more.
    pub async fn end(self) {
        // Nobody listens where no service is switched on.
        let _ = self.stop.send(());
        for task in self.tasks {
            // A client that keeps its connection open is not waited for.
            let _ = tokio::time::timeout(GRACE, task).await;
        }
    }
}

impl Serving {
    /// Waits until clients have got the answers to what they have asked, but not for long, as some
    /// statements have no end: two seconds, or half of what the whole end may take.
    pub async fn answered(self, shutdown_timeout: Option<Duration>) {
        let patience = shutdown_timeout.map_or(GRACE, |longest| GRACE.min(longest / 2));
        let Serving { at_work, http } = self;
        let answered = async {
            at_work.until_none().await;
            if let Some(http) = http {
                // A panic there has been reported by its own message.
                let _ = http.await;
            }
        };
        let _ = tokio::time::timeout(patience, answered).await;
    }
}

/// A second handle to the same socket.
fn doubled(listener: &TcpListener) -> io::Result<TcpListener> {
    let socket = listener.as_fd().try_clone_to_owned()?;
    TcpListener::from_std(std::net::TcpListener::from(socket))
}

/// Takes the addresses.
pub async fn bind(settings: &ServeSettings) -> Result<Listeners, Failure> {
    Ok(Listeners {
        pgwire: bind_one(settings.pgwire, "--serve-pgwire").await?,
        http: bind_one(settings.http, "--serve-http").await?,
        limits: PgwireOptions {
            max_connections: settings.connections,
            max_message_bytes: usize::try_from(settings.message_bytes).unwrap_or(usize::MAX),
            ..PgwireOptions::default()
        },
    })
}

async fn bind_one(address: Option<SocketAddr>, flag: &str) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else {
        return Ok(None);
    };
    if !address.ip().is_loopback() {
        tracing::warn!(
            "{address} can be reached from other machines, and there is no authentication yet"
        );
    }
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => Err(Failure::new(
            format!("the address {address} can't be taken: {error}"),
            format!(
                "if another engine runs, stop it; or choose another address with {flag}, or \
                 {flag} off"
            ),
        )),
    }
}

/// Begins to serve; needs a tokio runtime. Ends when a stop is requested.
pub fn start(
    listeners: Listeners,
    engine: &Engine,
    queries: NamedQueries,
    snapshots: &Snapshots,
    stop: &Stop,
) -> Serving {
    let limits = listeners.limits;
    let mut serving = Serving {
        at_work: AtWork::default(),
        http: None,
    };
    if let Some(listener) = listeners.pgwire {
        let (engine, stop, limits) = (engine.clone(), stop.clone(), limits.clone());
        let at_work = serving.at_work.clone();
        tokio::spawn(async move {
            let stop = async move { stop.requested().await };
            pgwire::serve(listener, engine, limits, at_work, stop).await;
        });
    }
    if let Some(listener) = listeners.http {
        let router = http::router(engine.clone(), queries, snapshots.router());
        let stop = stop.clone();
        serving.http = Some(tokio::spawn(async move {
            let options = HttpOptions {
                max_connections: limits.max_connections,
                ..HttpOptions::default()
            };
            let stop = async move { stop.requested().await };
            http::serve(listener, router, options, stop).await;
        }));
    }
    serving
}
