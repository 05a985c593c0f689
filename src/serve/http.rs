//! HTTP: SQL and named queries for programs, health for operators.
//!
//! A page of another web site must not reach the engine through a user's browser, so a request
//! must name this host, and one that comes from a page must come from this one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::net::TcpListener;

use super::format::{Format, write_rows};
use super::http_connection::{BoundedListener, Pace};
use super::metrics;
use super::named_query::{self, NamedQuery, NamedQueryError};
use crate::engine::{Engine, EngineError, Outcome};
use crate::sql::SqlError;

pub use super::http_connection::HttpOptions;

/// The longest SQL text, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How much of an answer is handed on at a time.
const PIECE_BYTES: usize = 256 << 10;

/// How much of a body that is too long is read, and forgotten, so that its sender gets the answer.
const BODY_BYTES_READ: usize = 64 << 20;

/// The most memory of an answer, in bytes; larger ones go through the Postgres protocol, which
/// streams.
const ANSWER_BYTES_MAX: usize = 256 << 20;

#[derive(Clone)]
struct Service {
    engine: Engine,
    queries: Arc<BTreeMap<String, NamedQuery>>,
}

/// The routes: `/healthz`, `/readyz`, `/metrics`, `/sql`, `/queries`, `/query/{name}`, and those of `more`.
pub fn router(engine: Engine, queries: BTreeMap<String, NamedQuery>, more: Router) -> Router {
    let service = Service {
        engine,
        queries: Arc::new(queries),
    };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_page))
        .route("/sql", post(sql))
        .route("/queries", get(queries_list))
        .route("/query/{name}", get(query))
        .with_state(service)
        .merge(more)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(take_whole_body))
        .layer(middleware::from_fn(refuse_other_sites))
}

/// Serves as many connections, each for as long, as the options say, until `stop` completes.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: HttpOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let listener = BoundedListener::new(listener, options);
    let service = router.into_make_service_with_connect_info::<Pace>();
    let served = axum::serve(listener, service).with_graceful_shutdown(stop);
    if let Err(error) = served.await {
        tracing::error!("HTTP is not served any more: {error}");
    }
}

/// Ready: a read at one moment succeeds.
async fn ready(State(service): State<Service>) -> Result<String, Failure> {
    let engine = service.engine.clone();
    let read = tokio::task::spawn_blocking(move || engine.read()).await;
    let read = read.map_err(|error| Failure::internal(&error))??;
    Ok(format!("ready at {} ms\n", read.timestamp_ms()))
}

/// What the engine counts, for Prometheus.
async fn metrics_page(State(service): State<Service>) -> Result<Response, Failure> {
    let engine = service.engine.clone();
    let text = tokio::task::spawn_blocking(move || metrics::text(&engine)).await;
    let text = text.map_err(|error| Failure::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn sql(
    State(service): State<Service>,
    Query(arguments): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Failure> {
    let format = format_of(arguments.get("format"), &headers)?;
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let text = match is_json {
        false => body,
        true => serde_json::from_str::<serde_json::Value>(&body)
            .ok()
            .and_then(|body| Some(body.get("sql")?.as_str()?.to_owned()))
            .ok_or_else(|| Failure::bad("the body is not {\"sql\": \"…\"}", "42601"))?,
    };
    answer(&service.engine, &text, format).await
}

async fn queries_list(State(service): State<Service>) -> Json<serde_json::Value> {
    let queries = service.queries.values().map(|query| {
        let parameters = query.parameters.iter().map(|parameter| {
            json!({
                "name": parameter.name,
                "type": parameter.data_type.to_string(),
                "default": parameter.default,
                "meaning": parameter.meaning,
            })
        });
        json!({
            "name": query.name,
            "description": query.description,
            "parameters": parameters.collect::<Vec<_>>(),
        })
    });
    Json(queries.collect())
}

async fn query(
    State(service): State<Service>,
    Path(name): Path<String>,
    Query(mut arguments): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let format = format_of(arguments.remove("format").as_ref(), &headers)?;
    let query = named_query::find(&service.queries, &name)?;
    let text = query.with_values(&arguments)?;
    answer(&service.engine, &text, format).await
}

/// The format asked for, JSON if none is.
fn format_of(argument: Option<&String>, headers: &HeaderMap) -> Result<Format, Failure> {
    if let Some(argument) = argument {
        return argument
            .parse()
            .map_err(|problem: String| Failure::bad(problem, "22023"));
    }
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    Ok(match accept {
        Some(accept) if accept.contains("text/csv") => Format::Csv,
        Some(accept) if accept.contains("text/plain") => Format::Table,
        _ => Format::Json,
    })
}

/// Runs one statement and writes its rows.
async fn answer(engine: &Engine, sql: &str, format: Format) -> Result<Response, Failure> {
    let mut session = engine.session();
    let statements = session.parse(sql)?;
    let [statement] = statements.as_slice() else {
        let message = format!("{} statements; send one at a time", statements.len());
        return Err(Failure::bad(message, "42601"));
    };
    match session.execute(statement, &[]).await? {
        Outcome::Done(tag) => {
            // The next request is a session of its own and is to read what this one wrote.
            session.settled().await?;
            Ok(Json(json!({ "done": tag })).into_response())
        }
        Outcome::CopyIn(_) => {
            let message = "COPY needs the Postgres protocol; send INSERT, or use psql";
            Err(Failure::bad(message, "0A000"))
        }
        Outcome::CopyOut { .. } | Outcome::Subscription(_) => {
            let message = "SUBSCRIBE and COPY need the Postgres protocol; send a SELECT here";
            Err(Failure::bad(message, "0A000"))
        }
        Outcome::Rows(rows) => all_written(rows, format, session.answer_memory()).await,
        Outcome::Returned { rows, .. } => {
            session.settled().await?;
            all_written(rows, format, session.answer_memory()).await
        }
    }
}

/// All rows of an answer, as far as it is not too large and there is memory for it.
async fn all_written(
    mut rows: SendableRecordBatchStream,
    format: Format,
    memory: MemoryReservation,
) -> Result<Response, Failure> {
    let schema = rows.schema();
    let mut batches = Vec::new();
    let mut bytes = 0;
    while let Some(batch) = rows.try_next().await.map_err(SqlError::from)? {
        bytes += batch.get_array_memory_size();
        if bytes > ANSWER_BYTES_MAX {
            let message = format!(
                "the answer is larger than {ANSWER_BYTES_MAX} bytes; add LIMIT, or read it \
                 through the Postgres protocol"
            );
            return Err(Failure::bad(message, "54000"));
        }
        let reserved = memory.try_grow(batch.get_array_memory_size());
        reserved.map_err(SqlError::from)?;
        batches.push(batch);
    }
    let text = written(&schema, &batches, format)?;
    drop(batches);
    memory.try_resize(text.len()).map_err(SqlError::from)?;
    let content_type = match format {
        Format::Json => "application/json",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Table => "text/plain; charset=utf-8",
    };
    let length = text.len().to_string();
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_LENGTH, length.as_str()),
    ];
    Ok((headers, held_until_sent(text, memory)).into_response())
}

fn written(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    format: Format,
) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    write_rows(&mut text, schema, batches, format).map_err(|error| Failure::internal(&error))?;
    Ok(text)
}

/// A body whose memory is counted as long as a client has not taken it.
fn held_until_sent(text: Vec<u8>, memory: MemoryReservation) -> Body {
    let pieces = stream::unfold(
        (Bytes::from(text), memory),
        |(mut rest, memory)| async move {
            if rest.is_empty() {
                return None;
            }
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            Some((Ok::<_, Infallible>(piece), (rest, memory)))
        },
    );
    Body::from_stream(pieces)
}

/// Why a request is not answered.
struct Failure {
    status: StatusCode,
    message: String,
    hint: Option<String>,
    sqlstate: String,
}

impl Failure {
    fn bad(message: impl Into<String>, sqlstate: &str) -> Failure {
        Failure {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            hint: None,
            sqlstate: sqlstate.to_owned(),
        }
    }

    fn of_status(status: StatusCode, message: String, sqlstate: &str) -> Failure {
        Failure {
            status,
            ..Failure::bad(message, sqlstate)
        }
    }

    /// As the last answer of its connection: what else the client sends is not read.
    fn and_close(self) -> Response {
        let mut response = self.into_response();
        let close = header::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    }

    fn internal(error: &impl ToString) -> Failure {
        Failure {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            ..Failure::bad(error.to_string(), "XX000")
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({
            "error": self.message,
            "hint": self.hint,
            "sqlstate": self.sqlstate,
        });
        (self.status, Json(body)).into_response()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        let sqlstate = error.sqlstate();
        let status = match sqlstate.get(..2) {
            Some("42" | "22" | "23" | "0A" | "2B" | "25") => StatusCode::BAD_REQUEST,
            Some("53" | "57") => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure {
            status,
            message: error.to_string(),
            hint: error.hint(),
            sqlstate: sqlstate.to_owned(),
        }
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        EngineError::from(error).into()
    }
}

impl From<NamedQueryError> for Failure {
    fn from(error: NamedQueryError) -> Failure {
        let status = match error {
            NamedQueryError::Unknown { .. } => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Failure {
            status,
            ..Failure::bad(error.to_string(), "22023")
        }
    }
}

/// Hands a request on once all of its body is there, if that is not too long and does not take too
/// long.
pub(super) async fn take_whole_body(request: Request, next: Next) -> Response {
    let pace = request.extensions().get::<ConnectInfo<Pace>>();
    let pace = pace.map(|pace| pace.0.clone()).unwrap_or_default();
    pace.begin();
    let (parts, body) = request.into_parts();
    let response = match tokio::time::timeout(pace.body_time(), whole(body)).await {
        Ok(Ok(body)) => next.run(Request::from_parts(parts, body)).await,
        Ok(Err(failure)) => failure.and_close(),
        Err(_) => Failure::of_status(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not come within {:?}", pace.body_time()),
            "57014",
        )
        .and_close(),
    };
    pace.end();
    response
}

async fn whole(body: Body) -> Result<Body, Failure> {
    let mut pieces = body.into_data_stream();
    let mut text = Vec::new();
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Failure::bad(error.to_string(), "08P01"))?;
        bytes += piece.len();
        if bytes > BODY_BYTES_READ {
            break;
        }
        match bytes <= BODY_BYTES_MAX {
            true => text.extend_from_slice(&piece),
            false => text = Vec::new(),
        }
    }
    match bytes <= BODY_BYTES_MAX {
        true => Ok(Body::from(text)),
        false => Err(Failure::of_status(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {BODY_BYTES_MAX} bytes; send COPY or files instead"),
            "54000",
        )),
    }
}

async fn refuse_other_sites(request: Request, next: Next) -> Response {
    if is_from_here(request.headers()) {
        return next.run(request).await;
    }
    let failure = Failure {
        status: StatusCode::FORBIDDEN,
        ..Failure::bad(
            "requests of other sites are refused; use the address itself",
            "42501",
        )
    };
    failure.into_response()
}

/// Whether the request names this host and, if a page sent it, a page of this host did.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        // The colons of an IPv6 address without a port are no port's.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let is_same_site = text(header::ORIGIN).is_none_or(|origin| {
        origin
            .split_once("://")
            .is_some_and(|(_, origin)| origin == host)
    });
    (is_address || name == "localhost") && is_same_site
}
