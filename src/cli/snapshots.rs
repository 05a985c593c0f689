//! Takes snapshots of views: on demand, on schedule, and at the end of a run.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::failure::Failure;
use super::room;
use super::stop::Stop;
use crate::config::{Settings, closest};
use crate::engine::{Contents, Engine};
use crate::log::fs::{ModestFileSystem, SharedFileSystem};
use crate::snapshot::{SnapshotOptions, SnapshotWriter};

/// A snapshot that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The view.
    pub view: String,
    /// The directory of the snapshot.
    pub directory: PathBuf,
    /// How many rows it has.
    pub rows: u64,
}

/// Writes the views as they are at one moment; no names: all views.
pub fn take(engine: &Engine, names: &[String], settings: &Settings) -> Result<Vec<Taken>, Failure> {
    let views = engine.views();
    if let Some(unknown) = names.iter().find(|name| !views.contains(name)) {
        return Err(no_view(unknown, &views));
    }
    let names = match names.is_empty() {
        true => views,
        false => names.to_vec(),
    };
    let options = SnapshotOptions {
        retain: settings.snapshot.retain,
        ..SnapshotOptions::default()
    };
    let root = &settings.snapshot.dir;
    let keep_bytes = room::kept_for_the_log(settings, root);
    let file_system = ModestFileSystem::new(Arc::new(SharedFileSystem), keep_bytes);
    let writer = SnapshotWriter::new(Arc::new(file_system), root, options)?;
    let point = engine.read()?;
    let mut taken = Vec::new();
    for view in names {
        let Contents { schema, rows } = point.contents(&view)?;
        let report = writer.write(&view, point.moment(), schema, rows)?;
        taken.push(Taken {
            view,
            directory: report.path,
            rows: report.rows,
        });
    }
    Ok(taken)
}

fn no_view(name: &str, views: &[String]) -> Failure {
    let hint = match closest(name, views.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "SHOW VIEWS lists what there is".to_owned(),
    };
    Failure::new(format!("there is no live view `{name}`"), hint)
}

/// Snapshots of a running engine; only one is taken at a time, so that two never write one
/// directory.
#[derive(Clone)]
pub struct Snapshots {
    engine: Engine,
    settings: Arc<Settings>,
    turn: Arc<Mutex<()>>,
}

impl Snapshots {
    /// Snapshots of `engine`, written as the settings say.
    pub fn new(engine: &Engine, settings: &Settings) -> Snapshots {
        Snapshots {
            engine: engine.clone(),
            settings: Arc::new(settings.clone()),
            turn: Arc::default(),
        }
    }

    /// Writes the views (none named: all), off the threads that serve.
    pub async fn take(&self, names: Vec<String>) -> Result<Vec<Taken>, Failure> {
        let _turn = self.turn.lock().await;
        let Snapshots {
            engine, settings, ..
        } = self.clone();
        spawn_blocking(move || take(&engine, &names, &settings))
            .await
            .map_err(|error| Failure::new(format!("the snapshot broke down: {error}"), ""))?
    }

    /// Takes snapshots of all views on schedule until a stop is requested; needs a tokio runtime.
    pub fn schedule(&self, stop: &Stop) {
        let Some(period) = self.settings.snapshot.every else {
            return;
        };
        let (snapshots, stop) = (self.clone(), stop.clone());
        tokio::spawn(async move {
            let mut ticks = interval(period);
            // After a long snapshot the next one comes a whole period later, not at once.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first tick is immediate, before there is anything to write.
            ticks.tick().await;
            loop {
                tokio::select! {
                    () = stop.requested() => return,
                    _ = ticks.tick() => {}
                }
                match snapshots.take(Vec::new()).await {
                    Ok(taken) => tracing::info!("snapshots of {} views written", taken.len()),
                    Err(failure) => tracing::error!("no snapshot: {failure}"),
                }
            }
        });
    }

    /// `POST /snapshot` with `{"views": […]}` as JSON: the way [`Request`] describes.
    ///
    /// The JSON content type is required, which keeps web pages of other origins from asking.
    pub fn router(&self) -> Router {
        let snapshots = self.clone();
        let answer = move |Json(request): Json<Request>| async move {
            match snapshots.take(request.views).await {
                Ok(taken) => (StatusCode::OK, Json(Response::Taken(taken))),
                Err(failure) => (
                    StatusCode::BAD_REQUEST,
                    Json(Response::Error(failure.to_string())),
                ),
            }
        };
        Router::new().route("/snapshot", post(answer))
    }
}

/// What a client asks a running engine to write.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// The views; none: all.
    pub views: Vec<String>,
}

/// What the running engine answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// What was written.
    Taken(Vec<Taken>),
    /// Why nothing was written, in the words of the command line.
    Error(String),
}
