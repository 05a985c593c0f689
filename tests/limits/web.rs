//! What HTTP clients may take: connections, bytes, time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use mainstem::engine::{Engine, QueryLimits};
use mainstem::serve::http::{self, HttpOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{insert, runtime};
use crate::engine::{open, run};
use crate::tools::Waiting;

async fn serve(engine: &Engine, options: HttpOptions) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = http::router(engine.clone(), BTreeMap::new(), axum::Router::new());
    tokio::spawn(http::serve(
        listener,
        router,
        options,
        std::future::pending(),
    ));
    address
}

/// Writes a request and reads to the end of the connection.
async fn answer(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(request).await.expect("sent");
    read(&mut stream).await
}

async fn read(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    // A connection that is reset has ended, too.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

fn post(length: usize, body: &str) -> Vec<u8> {
    let head = format!("POST /sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
    [
        head.as_bytes(),
        b"Connection: close\r\n\r\n",
        body.as_bytes(),
    ]
    .concat()
}

#[test]
fn connections_bodies_and_time_of_http_are_bounded_with_an_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 1);
    runtime().block_on(async {
        // What must succeed has time to come on a slow machine.
        let options = HttpOptions {
            max_connections: 3,
            idle_time: Duration::from_millis(600),
            ..HttpOptions::default()
        };
        let address = serve(&engine, options.clone()).await;
        let hasty = HttpOptions {
            head_time: Duration::from_millis(300),
            body_time: Duration::from_millis(300),
            ..options
        };
        let hasty_address = serve(&engine, hasty).await;
        let select = post(8, "SELECT 1");
        let is = |answer: &str, status: &str| {
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
            assert!(answer.contains("\"error\""), "{answer}");
            assert!(answer.contains("\"sqlstate\""), "{answer}");
        };
        assert!(
            answer(address, &select)
                .await
                .starts_with("HTTP/1.1 200 OK")
        );
        // Too long, as it says and without saying so.
        let long = "x".repeat(3 << 20);
        is(&answer(address, &post(long.len(), &long)).await, "413");
        let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
        let head = "POST /sql HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        is(
            &answer(address, &[head, &chunk].concat().into_bytes()).await,
            "413",
        );
        // Too slow: a body that does not come, a head that ends nowhere or comes byte by byte.
        is(&answer(hasty_address, &post(8, "SEL")).await, "408");
        is(&answer(hasty_address, b"GET /healthz HT").await, "408");
        let mut drip = TcpStream::connect(hasty_address).await.expect("connected");
        for byte in b"GET /healthz?and-so-on-and-so-on-and-so-on" {
            if drip.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What the client wrote after the end may have taken the answer away.
        let told = read(&mut drip).await;
        assert!(told.is_empty() || told.contains("408"), "{told}");
        // A client that keeps its connection and says nothing more is hung up on.
        let mut idle = TcpStream::connect(address).await.expect("connected");
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        idle.write_all(request).await.expect("sent");
        let told = read(&mut idle).await;
        assert_eq!(told.matches("HTTP/1.1").count(), 1, "{told}");
        assert!(told.ends_with("ok\n"), "{told}");
    });
    engine.shutdown();
}

#[test]
fn answers_over_http_take_the_memory_of_queries() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 1);
    let limits = QueryLimits {
        memory_bytes: 8 << 20,
        ..QueryLimits::default()
    };
    engine.limit_queries(limits).expect("limited");
    runtime().block_on(async {
        let address = serve(&engine, HttpOptions::default()).await;
        let mut session = engine.session();
        let table = "CREATE TABLE t (id BIGINT, shop TEXT, what TEXT)";
        run(&mut session, table).await.expect("created");
        for first in 0..20 {
            let insert = insert(100 * first);
            run(&mut session, &insert).await.expect("inserted");
        }
        session.settled().await.expect("complete");
        let long = "SELECT a.what FROM t a, t b WHERE b.id < 10";
        let refused = answer(address, &post(long.len(), long)).await;
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused:.200}");
        assert!(refused.contains("53200"), "{refused:.200}");
        for _ in 0..3 {
            let short = "SELECT what FROM t";
            let told = answer(address, &post(short.len(), short)).await;
            assert!(told.starts_with("HTTP/1.1 200 "), "{told:.200}");
            let (head, body) = told.split_once("\r\n\r\n").expect("a body");
            let length = format!("content-length: {}\r\n", body.len());
            assert!(head.to_lowercase().contains(length.trim_end()), "{head}");
        }
    });
    engine.shutdown();
}

#[test]
fn one_http_connection_too_many_is_refused_and_slow_ones_hold_no_more_than_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 1);
    runtime().block_on(async {
        let options = HttpOptions {
            max_connections: 3,
            ..HttpOptions::default()
        };
        let address = serve(&engine, options).await;
        let mut slow = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            stream.write_all(b"POST /sql HT").await.expect("sent");
            slow.push(stream);
        }
        let select = post(8, "SELECT 1");
        let refused = answer(address, &select).await;
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        assert!(refused.contains("53300"), "{refused}");
        assert!(
            refused.to_lowercase().contains("retry-after: 1"),
            "{refused}"
        );
        // One place is enough for everybody else.
        slow.pop();
        let waiting = Waiting::begin();
        while !answer(address, &select)
            .await
            .starts_with("HTTP/1.1 200 OK")
        {
            waiting.check("the place stays taken");
        }
    });
    engine.shutdown();
}
