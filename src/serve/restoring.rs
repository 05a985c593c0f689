//! What clients are told while the engine restores: how far it is, and to come again.

use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::Json;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::Sink;
use pgwire::api::auth::StartupHandler;
use pgwire::api::auth::noop::NoopStartupHandler;
use pgwire::api::{ClientInfo, PgWireServerHandlers};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use pgwire::tokio::process_socket;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::http::{HttpOptions, serve, take_whole_body};

/// Postgres's own code for a server that starts.
const SQLSTATE: &str = "57P03";
const HINT: &str = "connect again in a moment; what was acknowledged is there";

/// Postgres clients that are told at a time.
const AT_A_TIME: usize = 100;

/// How far restoring is, in words; clones show the same.
#[derive(Clone, Default)]
pub struct Notice {
    step: Arc<Mutex<String>>,
}

impl Notice {
    /// Says what is being done.
    pub fn say(&self, step: String) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }

    fn message(&self) -> String {
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        match step.is_empty() {
            true => "the engine is starting".to_owned(),
            false => format!("the engine is starting: {step}"),
        }
    }
}

/// Refuses Postgres clients until `stop` completes.
pub async fn pgwire(listener: TcpListener, notice: Notice, stop: impl Future<Output = ()>) {
    let refusal = Arc::new(Refusal { notice });
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((socket, _)) = accepted {
            // Who finds no turn is hung up on.
            let Ok(turn) = Arc::clone(&turns).try_acquire_owned() else {
                continue;
            };
            let refusal = Arc::clone(&refusal);
            tokio::spawn(async move {
                // A client that is gone need not be told.
                let _ = process_socket(socket, None, refusal).await;
                drop(turn);
            });
        } else {
            // Such as too many open files: it is not to be asked again at once.
            tokio::time::sleep(super::pgwire::PAUSE).await;
        }
    }
}

/// A client that is told to come again.
struct Refusal {
    notice: Notice,
}

impl PgWireServerHandlers for Refusal {
    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::new(Refusal {
            notice: self.notice.clone(),
        })
    }
}

#[async_trait]
impl NoopStartupHandler for Refusal {
    async fn post_startup<C>(&self, _: &mut C, _: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let message = self.notice.message();
        let mut info = ErrorInfo::new("FATAL".to_owned(), SQLSTATE.to_owned(), message);
        info.hint = Some(HINT.to_owned());
        Err(PgWireError::UserError(Box::new(info)))
    }
}

/// Answers HTTP until `stop` completes: `/healthz` as always, all else with 503.
pub async fn http(
    listener: TcpListener,
    notice: Notice,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(move || {
            let refused = refused(&notice);
            async move { refused }
        })
        .layer(middleware::from_fn(take_whole_body));
    serve(listener, router, HttpOptions::default(), stop).await;
}

fn refused(notice: &Notice) -> Response {
    let body = json!({
        "error": notice.message(),
        "hint": HINT,
        "sqlstate": SQLSTATE,
    });
    // A connection that stays open would go on asking here.
    let headers = [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, Json(body)).into_response()
}
