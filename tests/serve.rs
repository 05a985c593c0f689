//! Serving: Postgres clients over the wire, programs over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use futures::SinkExt;
use mainstem::engine::Engine;
use mainstem::serve::named_query::NamedQuery;
use mainstem::serve::{http, pgwire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::engine::open;
use crate::tools::has_program;

/// An engine that serves; dropped, it stops.
pub struct Served {
    pub engine: Engine,
    pub address: SocketAddr,
    pub runtime: tokio::runtime::Runtime,
    _directory: tempfile::TempDir,
}

impl Served {
    pub fn start(max_connections: usize) -> Served {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        Served::of(engine, directory, max_connections)
    }

    pub fn of(engine: Engine, directory: tempfile::TempDir, max_connections: usize) -> Served {
        let options = pgwire::PgwireOptions {
            max_connections,
            ..pgwire::PgwireOptions::default()
        };
        Served::with(engine, directory, options)
    }

    pub fn with(
        engine: Engine,
        directory: tempfile::TempDir,
        options: pgwire::PgwireOptions,
    ) -> Served {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = engine.clone();
        runtime.spawn(pgwire::serve(
            listener,
            served,
            options,
            pgwire::AtWork::default(),
            std::future::pending(),
        ));
        Served {
            engine,
            address,
            runtime,
            _directory: directory,
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let settings = format!(
            "host={} port={} user=analyst dbname=any",
            self.address.ip(),
            self.address.port()
        );
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A connection on which messages are written by hand.
    pub async fn raw(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        let parameters = b"user\0any\0\0";
        let length = u32::try_from(8 + parameters.len()).expect("short");
        let startup = [&length.to_be_bytes()[..], &[0, 3, 0, 0], parameters].concat();
        stream.write_all(&startup).await.expect("sent");
        while received(&mut stream).await.0 != b'Z' {}
        stream
    }

    /// psql, connected, with pipes to it and from it.
    pub fn psql_command(&self) -> Command {
        let mut command = Command::new("psql");
        command
            .args(["-X", "-h", "127.0.0.1", "-U", "analyst", "-d", "shop", "-p"])
            .arg(self.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What psql prints for what is typed into it, and its errors.
    pub fn psql(&self, arguments: &[&str], input: &str) -> (String, String) {
        let mut command = self.psql_command();
        let mut child = command.args(arguments).spawn().expect("psql starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("psql ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (text(output.stdout), text(output.stderr))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.engine.shutdown();
    }
}

const SALES: &str = "CREATE TABLE sales (id BIGINT PRIMARY KEY, shop TEXT NOT NULL, \
    price DECIMAL(18, 4), sold_at TIMESTAMP, is_gift BOOLEAN); \
    CREATE MATERIALIZED VIEW by_shop AS \
    SELECT shop, count(*) AS sales, sum(price) AS revenue FROM sales GROUP BY shop";

#[test]
fn prepared_statements_take_and_give_typed_values() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(SALES).await.expect("created");
        let insert = client
            .prepare("INSERT INTO sales VALUES ($1, $2, 12.5, TIMESTAMP '2026-05-04 10:20:30', $3)")
            .await
            .expect("prepared");
        for id in 0..5_i64 {
            let shop = if id < 3 { "north" } else { "söuth" };
            let is_gift = (id > 0).then_some(id == 1);
            let inserted = client.execute(&insert, &[&id, &shop, &is_gift]).await;
            assert_eq!(inserted.expect("inserted"), 1);
            // The view has the row: a session reads its own writes.
            let count = client
                .query_one("SELECT CAST(sum(sales) AS BIGINT) AS n FROM by_shop", &[])
                .await
                .expect("counted");
            assert_eq!(count.get::<_, i64>("n"), id + 1);
        }
        let rows = client
            .query(
                "SELECT id, shop, CAST(price AS DOUBLE) AS price, is_gift, sold_at FROM sales \
                 WHERE shop = $1 AND id >= $2 ORDER BY id",
                &[&"north", &1_i64],
            )
            .await
            .expect("rows");
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].get::<_, i64>("id"), 1);
        assert_eq!(rows[0].get::<_, f64>("price"), 12.5);
        assert_eq!(rows[0].get::<_, Option<bool>>("is_gift"), Some(true));
        let deleted = client
            .execute("DELETE FROM sales WHERE shop = $1", &[&"north"])
            .await;
        assert_eq!(deleted.expect("deleted"), 3);
        let updated = client
            .execute(
                "UPDATE sales SET shop = $1 WHERE id = $2",
                &[&"west", &4_i64],
            )
            .await;
        assert_eq!(updated.expect("updated"), 1);
        assert_eq!(
            texts(
                &client,
                "SELECT shop, sales, revenue FROM by_shop ORDER BY shop"
            )
            .await,
            ["söuth|1|12.5000", "west|1|12.5000"]
        );
    });
}

#[test]
fn errors_have_codes_and_hints_and_end_nothing() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(SALES).await.expect("created");
        for (sql, state) in [
            ("SELEC 1", "42601"),
            ("SELECT * FROM nowhere", "42P01"),
            ("SELECT nothing FROM sales", "42703"),
            ("CREATE TABLE sales (id BIGINT)", "42P07"),
            ("INSERT INTO sales VALUES (1, NULL, 1, NULL, NULL)", "23502"),
            ("INSERT INTO by_shop VALUES ('a', 1, 1)", "42809"),
            (
                "CREATE MATERIALIZED VIEW r AS SELECT random() AS r",
                "0A000",
            ),
            ("VACUUM", "0A000"),
        ] {
            for error in [
                client.simple_query(sql).await.err(),
                client.query(sql, &[]).await.err(),
            ] {
                let error = error.unwrap_or_else(|| panic!("{sql} is not refused"));
                assert_eq!(code(&error), Some(state), "{sql}: {error:?}");
            }
        }
        let error = client.query("SELECT * FROM nowhere", &[]).await;
        let error = error.expect_err("no such table");
        let hint = error.as_db_error().and_then(|error| error.hint());
        assert_eq!(hint, Some("SHOW TABLES and SHOW VIEWS list what there is"));
        assert_eq!(texts(&client, "SELECT 1").await, ["1"]);
    });
}

#[test]
fn a_transaction_takes_effect_at_once_or_not_at_all() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let mut client = served.connect().await.expect("connected");
        let other = served.connect().await.expect("connected");
        client.batch_execute(SALES).await.expect("created");
        let insert = |id: i64| format!("INSERT INTO sales VALUES ({id}, 'a', 1, NULL, NULL)");
        let count = "SELECT count(*) FROM sales";

        let transaction = client.transaction().await.expect("begun");
        transaction.batch_execute(&insert(1)).await.expect("held");
        transaction.batch_execute(&insert(2)).await.expect("held");
        assert_eq!(texts(&other, count).await, ["0"]);
        // The transaction sees its own rows; live views follow at COMMIT.
        let rows = transaction.query(count, &[]).await.expect("counted");
        assert_eq!(rows[0].get::<_, i64>(0), 2);
        let error = transaction.query("SELECT * FROM by_shop", &[]).await;
        let error = error.expect_err("refused");
        assert_eq!(code(&error), Some("0A000"));
        let error = transaction.batch_execute(&insert(3)).await;
        let error = error.expect_err("the transaction has failed");
        assert_eq!(code(&error), Some("25P02"));
        transaction.rollback().await.expect("rolled back");
        assert_eq!(texts(&client, count).await, ["0"]);

        let transaction = client.transaction().await.expect("begun");
        for id in 0..3 {
            transaction.batch_execute(&insert(id)).await.expect("held");
        }
        transaction.commit().await.expect("committed");
        assert_eq!(texts(&client, "SELECT sales FROM by_shop").await, ["3"]);

        // A failed transaction is rolled back by COMMIT too.
        let sql = format!("BEGIN; {}", insert(7));
        client.batch_execute(&sql).await.expect("held");
        client.batch_execute("nonsense").await.expect_err("refused");
        client.batch_execute("COMMIT").await.expect("ended");
        assert_eq!(texts(&client, count).await, ["3"]);
    });
}

#[test]
fn copy_takes_rows_as_csv() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(SALES).await.expect("created");
        let copy = "COPY sales (id, shop, price) FROM STDIN (FORMAT csv, HEADER)";
        let sink = client.copy_in(copy).await.expect("begun");
        tokio::pin!(sink);
        sink.send("id,shop,price\n1,\"a, \"\"b".into())
            .await
            .expect("sent");
        let rest: String = (2..20_000).map(|id| format!("{id},c,\n")).collect();
        let rest = bytes::Bytes::from(format!("\"\"\",1.25\n{rest}"));
        sink.send(rest).await.expect("sent");
        assert_eq!(sink.finish().await.expect("copied"), 19_999);
        assert_eq!(
            texts(&client, "SELECT * FROM by_shop ORDER BY shop").await,
            ["a, \"b\"|1|1.2500", "c|19998|NULL"]
        );

        let sink = client
            .copy_in::<_, bytes::Bytes>(copy)
            .await
            .expect("begun");
        tokio::pin!(sink);
        sink.send("id,shop,price\n1,a,1\nx,b,2\n".into())
            .await
            .expect("sent");
        let error = sink.finish().await.expect_err("x is no number");
        assert_eq!(code(&error), Some("22P02"), "{error:?}");
        assert_eq!(
            texts(&client, "SELECT sum(sales) FROM by_shop").await,
            ["19999"]
        );
    });
}

#[test]
fn one_connection_too_many_is_refused_with_a_reason() {
    let served = Served::start(2);
    served.runtime.block_on(async {
        let first = served.connect().await.expect("connected");
        let _second = served.connect().await.expect("connected");
        let Err(error) = served.connect().await else {
            panic!("a third connection is taken");
        };
        assert_eq!(code(&error), Some("53300"), "{error:?}");
        assert_eq!(texts(&first, "SELECT 1").await, ["1"]);
    });
}

#[test]
fn psql_works() {
    if !has_program("psql", &["--version"]) {
        return;
    }
    let served = Served::start(10);
    let (out, error) = served.psql(&["-At", "-c", SALES], "");
    assert_eq!(
        (out.as_str(), error.as_str()),
        ("CREATE TABLE\nCREATE MATERIALIZED VIEW\n", "")
    );
    let copy = "\\copy sales (id, shop) FROM STDIN (FORMAT csv)\n1,a\n2,b\n\\.\n\
                INSERT INTO sales VALUES (3, 'b', 1.5, now(), true);\n";
    let (out, error) = served.psql(&["-At"], copy);
    assert_eq!((out.as_str(), error.as_str()), ("COPY 2\nINSERT 0 1\n", ""));
    // What a session has written others read once the views have it.
    served.engine.flush().expect("complete");
    let (out, _) = served.psql(
        &[
            "-At",
            "-c",
            "SELECT shop, sales, revenue FROM by_shop ORDER BY 1",
        ],
        "",
    );
    assert_eq!(out, "a|1|\nb|2|1.5000\n");
    let (out, _) = served.psql(
        &[
            "-At",
            "-c",
            "DELETE FROM sales WHERE id = 1; DROP MATERIALIZED VIEW by_shop; SELECT count(*) FROM sales",
        ],
        "",
    );
    assert_eq!(out, "DELETE 1\nDROP MATERIALIZED VIEW\n2\n");
    let (_, error) = served.psql(&["-c", "SELECT * FROM by_shop"], "");
    assert!(
        error.contains("there is no table or view called \"by_shop\""),
        "{error}"
    );
    assert!(error.contains("HINT:"), "{error}");
}

#[test]
fn http_answers_sql_and_named_queries() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(SALES).await.expect("created");
        let text = "-- How is a shop doing?\n-- param: shop text  The shop\n\
                    SELECT * FROM by_shop WHERE shop = $shop";
        let query = NamedQuery::parse("shop", text).expect("a query");
        let queries = BTreeMap::from([("shop".to_owned(), query)]);
        let router = http::router(served.engine.clone(), queries, axum::Router::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });

        let ask = |request: &'static str, body: &'static str| async move {
            exchange(address, request, "", body).await
        };
        let insert = "INSERT INTO sales VALUES (1, 'a & b', 2.5, NULL, NULL)";
        assert_eq!(
            ask("POST /sql", insert).await,
            (200, "{\"done\":\"INSERT 0 1\"}".into())
        );
        let (status, body) = ask("GET /query/shop?shop=a%20%26%20b", "").await;
        assert_eq!(
            (status, body.trim()),
            (200, r#"[{"shop":"a & b","sales":1,"revenue":2.5000}]"#)
        );
        let (status, body) = ask("POST /sql?format=csv", "SELECT * FROM by_shop").await;
        assert_eq!(
            (status, body.as_str()),
            (200, "shop,sales,revenue\na & b,1,2.5000\n")
        );
        assert_eq!(ask("GET /healthz", "").await.0, 200);
        assert_eq!(ask("GET /readyz", "").await.0, 200);
        let (status, body) = ask("GET /queries", "").await;
        assert!(
            status == 200 && body.contains("How is a shop doing?"),
            "{body}"
        );
        for (request, body, expected) in [
            ("POST /sql", "SELECT * FROM nowhere", 400),
            ("POST /sql", "SELECT 1; SELECT 2", 400),
            ("GET /query/shoq", "", 404),
            ("GET /query/shop", "", 400),
            ("GET /nothing", "", 404),
        ] {
            let (status, body) = ask(request, body).await;
            assert_eq!(status, expected, "{request}: {body}");
        }
        // A page of another site, in the browser of somebody who may reach the engine.
        let origin = "Origin: http://evil.example\r\n";
        assert_eq!(
            exchange(address, "POST /sql", origin, "SELECT 1").await.0,
            403
        );
        let rebound = "Host: evil.example\r\n";
        assert_eq!(exchange(address, "GET /queries", rebound, "").await.0, 403);
    });
}

/// The rows of a query as the simple protocol gives them, columns parted by bars.
pub async fn texts(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await;
    let messages = messages.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let cells = (0..row.len()).map(|index| row.get(index).unwrap_or("NULL"));
            Some(cells.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    rows.collect()
}

/// The next message of the server: its kind and its body.
pub async fn received(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let kind = stream.read_u8().await.expect("a message");
    let length = stream.read_u32().await.expect("its length");
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).await.expect("the message");
    (kind, body)
}

/// The SQLSTATE in the body of an error.
pub fn code_of(error: &[u8]) -> String {
    let mut fields = error.split(|byte| *byte == 0);
    let code = fields.find_map(|field| field.strip_prefix(b"C"));
    String::from_utf8_lossy(code.expect("a code")).into_owned()
}

/// The SQLSTATE of an error that the server has sent.
pub fn code(error: &tokio_postgres::Error) -> Option<&str> {
    error.code().map(SqlState::code)
}

/// One HTTP exchange: status and body.
async fn exchange(address: SocketAddr, request: &str, headers: &str, body: &str) -> (u16, String) {
    let host = match headers.starts_with("Host:") {
        true => String::new(),
        false => format!("Host: {address}\r\n"),
    };
    let text = format!(
        "{request} HTTP/1.1\r\n{host}{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("UTF-8");
    let status = answer[9..12].parse().expect("a status");
    let body = answer.split_once("\r\n\r\n").expect("a body").1.to_owned();
    (status, body)
}
