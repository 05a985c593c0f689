//! Connections of HTTP clients: so many at a time, and none that is waited for without end.
//!
//! The server underneath knows no limits of its own, so they are kept where bytes go in and out. A
//! client that is slow, or that says nothing any more, costs its connection and nothing else.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use super::pgwire::PAUSE;

/// Clients that are told at a time that there is no place; further ones are hung up on.
const WITHOUT_PLACE: usize = 32;

/// How long such a client may take to hear it.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

const REFUSAL: &str = "{\"error\":\"too many HTTP connections are open\",\
    \"hint\":\"close some, or raise serve.connections\",\"sqlstate\":\"53300\"}";
const TOO_SLOW: &str = "{\"error\":\"the request's head did not come in time\",\
    \"hint\":\"send a request at once\",\"sqlstate\":\"57014\"}";

/// Limits of serving HTTP.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Connections at a time; further ones are refused.
    pub max_connections: usize,
    /// How long a client may take to send the head of a request.
    pub head_time: Duration,
    /// How long a client may take to send the body of a request.
    pub body_time: Duration,
    /// How long a connection is kept on which nothing moves, between requests or in an answer.
    pub idle_time: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            max_connections: 100,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(60),
        }
    }
}

/// Accepts connections as long as there are places.
pub struct BoundedListener {
    listener: TcpListener,
    options: HttpOptions,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl BoundedListener {
    /// Connections as the options say.
    pub fn new(listener: TcpListener, options: HttpOptions) -> BoundedListener {
        BoundedListener {
            listener,
            places: Arc::new(Semaphore::new(options.max_connections)),
            options,
            refusals: Arc::new(Semaphore::new(WITHOUT_PLACE)),
        }
    }

    fn refuse(&self, stream: TcpStream) {
        if let Ok(turn) = Arc::clone(&self.refusals).try_acquire_owned() {
            tokio::spawn(async move {
                // A client that is gone need not be told.
                let _ = tokio::time::timeout(REFUSAL_TIME, tell_refusal(stream)).await;
                drop(turn);
            });
        }
    }
}

impl Listener for BoundedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => match Arc::clone(&self.places).try_acquire_owned() {
                    Ok(place) => {
                        let connection = Connection::new(stream, self.options.clone(), place);
                        return (connection, address);
                    }
                    Err(_) => self.refuse(stream),
                },
                Err(error) => {
                    tracing::warn!("an HTTP client can't be accepted: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Says that there is no place, and reads what the client has sent: it would lose the answer if the
/// connection were closed on it.
async fn tell_refusal(mut stream: TcpStream) -> io::Result<()> {
    let answer = answer("503 Service Unavailable", REFUSAL);
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: 1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// What a connection is at; clones are of the same one.
#[derive(Clone, Debug)]
pub struct Pace {
    stage: Arc<AtomicU8>,
    body_time: Duration,
}

/// Nothing has come of the next request, or its answer is being sent.
const IDLE: u8 = 0;
/// Its head is coming.
const HEAD: u8 = 1;
/// It is being worked on, which has limits of its own.
const AT_WORK: u8 = 2;
/// The answer is there and nothing of it has been sent.
const ANSWERED: u8 = 3;

impl Default for Pace {
    fn default() -> Self {
        Pace::new(&HttpOptions::default())
    }
}

impl Pace {
    /// A connection from which the first head is to come.
    fn new(options: &HttpOptions) -> Pace {
        Pace {
            stage: Arc::new(AtomicU8::new(HEAD)),
            body_time: options.body_time,
        }
    }

    /// How long a body may take to come.
    pub fn body_time(&self) -> Duration {
        self.body_time
    }

    /// A request's head has come.
    pub fn begin(&self) {
        self.set(AT_WORK);
    }

    /// Its answer is to be sent.
    pub fn end(&self) {
        self.set(ANSWERED);
    }

    fn set(&self, stage: u8) {
        self.stage.store(stage, Ordering::Relaxed);
    }

    fn stage(&self) -> u8 {
        self.stage.load(Ordering::Relaxed)
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for Pace {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Pace {
        stream.io().pace.clone()
    }
}

/// A client's connection, which ends when it is too slow.
pub struct Connection {
    stream: TcpStream,
    options: HttpOptions,
    pace: Pace,
    deadline: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, options: HttpOptions, place: OwnedSemaphorePermit) -> Connection {
        Connection {
            stream,
            pace: Pace::new(&options),
            deadline: Box::pin(sleep(options.head_time)),
            options,
            _place: place,
        }
    }

    /// From now on a head is awaited, or nothing.
    fn enter(&mut self, stage: u8) {
        let time = match stage {
            HEAD => self.options.head_time,
            _ => self.options.idle_time,
        };
        self.pace.set(stage);
        self.deadline.as_mut().reset(Instant::now() + time);
    }

    /// Whether the time is up; wakes the task when it will be.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let has_limit = self.pace.stage() != AT_WORK;
        has_limit && self.deadline.as_mut().poll(context).is_ready()
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client is too slow")
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if read.is_pending() && this.is_late(context) {
            if this.pace.stage() == HEAD {
                let answer = answer("408 Request Timeout", TOO_SLOW);
                // Nothing else is being written, and there is room for so little.
                let _ = Pin::new(&mut this.stream).poll_write(context, answer.as_bytes());
            }
            return Poll::Ready(Err(too_slow()));
        }
        let has_come = buffer.filled().len() > before;
        if has_come && this.pace.stage() == IDLE {
            this.enter(HEAD);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.pace.stage() == ANSWERED {
            this.enter(IDLE);
        }
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if written.is_pending() && this.is_late(context) {
            return Poll::Ready(Err(too_slow()));
        }
        let count = ready!(written)?;
        if this.pace.stage() == IDLE {
            this.enter(IDLE);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
