//! What clients are told of their mistakes: the SQLSTATE, the place, and no fault of others.

use futures::SinkExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::{Client, Error};

use crate::serve::{Served, code_of, received};

const T: &str = "CREATE TABLE t (id INT PRIMARY KEY, n INT, small SMALLINT, price NUMERIC(6, 2), \
    name TEXT NOT NULL, day DATE, at TIMESTAMP); \
    INSERT INTO t VALUES (1, 2, 3, 4.50, 'a', DATE '2026-05-04', TIMESTAMP '2026-05-04 10:20:30')";

fn told(error: &Error) -> &DbError {
    error.as_db_error().expect("an error of the server")
}

async fn refused(client: &Client, sql: &str) -> Error {
    match client.simple_query(sql).await {
        Err(error) => error,
        Ok(_) => panic!("{sql} has an answer"),
    }
}

#[test]
fn mistakes_have_their_sqlstate_in_both_protocols() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(T).await.expect("created");
        for (sql, sqlstate) in [
            ("SELECT CAST('x' AS INT)", "22P02"),
            ("SELECT CAST(name AS INT) FROM t", "22P02"),
            ("SELECT n / (id - 1) FROM t", "22012"),
            ("SELECT CAST(70000 + n AS SMALLINT) FROM t", "22003"),
            ("SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS v(x)", "22003"),
            ("SELECT sum(CAST(x AS NUMERIC(38, 0))) FROM (VALUES ('60000000000000000000000000000000000000'), ('60000000000000000000000000000000000000')) AS v(x)", "22003"),
            ("SELECT avg(CAST('60000000000000000000000000000000000000' AS NUMERIC(38, 0))) FROM t", "22003"),
            ("SELECT sum(INTERVAL '1 hour' * x) OVER (ORDER BY x) FROM (VALUES (2000000), (2000001)) AS v(x)", "22003"),
            ("SELECT CAST('soon' AS DATE)", "22007"),
            ("SELECT CAST('2026-02-30' AS DATE)", "22008"),
            ("SELECT n, small FROM t GROUP BY n", "42803"),
            ("SELECT * FROM nowhere", "42P01"),
            ("SELECT nothing FROM t", "42703"),
            ("SELECT date_trunc(1, 2, 3, 4) FROM t", "42883"),
            ("SELECT round('a', 'b') FROM t", "42883"),
            ("SELECT id FROM t WHERE n", "42804"),
            ("INSERT INTO t (id) VALUES (7)", "23502"),
            ("INSERT INTO t (id, name, n) VALUES (7, 'b', 'x')", "22P02"),
            ("UPDATE t SET n = n / 0", "22012"),
            ("SELECT * FROM t PIVOT (sum(n) FOR id IN (1, 2))", "0A000"),
        ] {
            let simple = refused(&client, sql).await;
            let simple = told(&simple);
            assert_eq!(simple.code().code(), sqlstate, "{sql}: {simple:?}");
            let extended = client.query(sql, &[]).await.expect_err(sql);
            let extended = told(&extended);
            assert_eq!(extended.code().code(), sqlstate, "{sql}: {extended:?}");
            for error in [simple, extended] {
                let message = error.message();
                assert!(!message.contains("DataFusion"), "{sql}: {message}");
                assert!(!message.contains("nternal error"), "{sql}: {message}");
            }
        }
    });
}

#[test]
fn places_are_told_where_they_are_known() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(T).await.expect("created");
        for (sql, position) in [
            ("SELECT 'ä', nothing FROM t", 13),
            ("SELECT n FROM\n nowhere", 16),
            ("SELECT nofunc(n) FROM t", 8),
            ("SELECT n, small FROM t GROUP BY n", 11),
            ("SELECT 1; SELECT nothing FROM t", 18),
            ("UPDATE t SET nothing = 1", 14),
            ("SELECT n FROM t WHERE n = = 1", 27),
        ] {
            let error = refused(&client, sql).await;
            let expected = ErrorPosition::Original(position);
            assert_eq!(told(&error).position(), Some(&expected), "{sql}");
        }
        let error = client.prepare("SELECT nothing FROM t").await;
        let error = error.expect_err("no such column");
        let expected = ErrorPosition::Original(8);
        assert_eq!(told(&error).position(), Some(&expected));
        let error = refused(&client, "SELECT nmae FROM t").await;
        let hint = told(&error).hint().unwrap_or_default();
        assert!(hint.starts_with("is name meant?"), "{hint}");
    });
}

#[test]
fn rows_of_copy_are_refused_by_what_is_wrong_with_them() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(T).await.expect("created");
        for (row, sqlstate) in [
            ("2\tx\t\\N\t\\N\tb\t\\N\t\\N\n", "22P02"),
            ("2\t\\N\t70000\t\\N\tb\t\\N\t\\N\n", "22003"),
            ("2\t\\N\t\\N\t123456\tb\t\\N\t\\N\n", "22003"),
            ("2\t\\N\t\\N\t\\N\tb\tsoon\t\\N\n", "22007"),
            ("2\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n", "23502"),
            ("2\t\\N\n", "22P04"),
        ] {
            let sink = client.copy_in("COPY t FROM STDIN").await.expect("begun");
            tokio::pin!(sink);
            sink.send(bytes::Bytes::from_static(row.as_bytes()))
                .await
                .expect("sent");
            let error = sink.finish().await.expect_err("refused");
            assert_eq!(told(&error).code().code(), sqlstate, "{row:?}: {error:?}");
        }
    });
}

fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u32::try_from(4 + body.len()).expect("short");
    [&[kind][..], &length.to_be_bytes(), &body].concat()
}

/// The first value of the last row, or the SQLSTATE of the error.
async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    loop {
        let (kind, body) = received(stream).await;
        match kind {
            b'D' => {
                let length = u32::from_be_bytes(body[2..6].try_into().expect("a length"));
                let value = body[6..].iter().take(length as usize).copied().collect();
                answer = String::from_utf8(value).expect("text");
            }
            b'E' => answer = code_of(&body),
            b'Z' => return answer,
            _ => {}
        }
    }
}

/// Runs a statement with one parameter, sent as text.
async fn with_text(stream: &mut TcpStream, sql: &str, value: &str) -> String {
    let length = u32::try_from(value.len()).expect("short").to_be_bytes();
    let messages = [
        message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"]),
        message(
            b'B',
            &[b"\0\0\0\0\0\x01", &length, value.as_bytes(), b"\0\0"],
        ),
        message(b'E', &[b"\0\0\0\0\0"]),
        message(b'S', &[]),
    ];
    stream.write_all(&messages.concat()).await.expect("sent");
    answer(stream).await
}

#[test]
fn values_sent_as_text_are_read_as_they_are_written() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(T).await.expect("created");
        // The library sends no values as text.
        let mut stream = served.raw().await;
        for (sql, value, expected) in [
            ("SELECT count(*) FROM t WHERE n = $1", "2", "1"),
            ("SELECT count(*) FROM t WHERE n = $1", " 2 ", "1"),
            ("SELECT count(*) FROM t WHERE n = $1", "two", "22P02"),
            ("SELECT count(*) FROM t WHERE n = $1", "2.5", "22P02"),
            ("SELECT count(*) FROM t WHERE small = $1", "70000", "22003"),
            ("SELECT count(*) FROM t WHERE price < $1", "4.501", "1"),
            ("SELECT count(*) FROM t WHERE price = $1", "4.501", "0"),
            ("SELECT count(*) FROM t WHERE price = $1", "four", "22P02"),
            (
                "SELECT CAST($1 AS NUMERIC(38, 0))",
                "12345678901234567890123456789012345678",
                "12345678901234567890123456789012345678",
            ),
            ("SELECT count(*) FROM t WHERE day = $1", "2026-05-04", "1"),
            ("SELECT count(*) FROM t WHERE day = $1", "soon", "22007"),
            (
                "SELECT count(*) FROM t WHERE day = $1",
                "2026-02-30",
                "22008",
            ),
            (
                "SELECT CAST(at + $1 AS DATE) FROM t",
                "2 days",
                "2026-05-06",
            ),
            ("SELECT n FROM t LIMIT $1", "0", ""),
            ("SELECT $1", "it''s", "it''s"),
            ("SELECT CAST($1 AS BOOLEAN)", "", "22P02"),
            ("SELECT CAST($1 AS BOOLEAN)", "on", "t"),
        ] {
            let found = with_text(&mut stream, sql, value).await;
            assert_eq!(found, expected, "{sql} with {value}");
        }
    });
}
