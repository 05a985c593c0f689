//! The Postgres protocol in detail: types in both formats, COPY, cancel, timeouts, portals.

use std::process::Command;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, NoTls};

use crate::serve::{Served, code, texts};
use crate::tools::has_program;

#[test]
fn every_type_travels_in_text_and_binary() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute(
                "CREATE TABLE t (id INT PRIMARY KEY, a BOOLEAN, b SMALLINT, c INT, d BIGINT, \
                 e REAL, f DOUBLE, g NUMERIC(38, 10), h TEXT, i BYTEA, j DATE, k TIME, \
                 l TIMESTAMP, m TIMESTAMPTZ)",
            )
            .await
            .expect("created");
        let insert = client
            .prepare_typed(
                "INSERT INTO t VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                &[
                    Type::BOOL,
                    Type::INT2,
                    Type::INT4,
                    Type::INT8,
                    Type::FLOAT4,
                    Type::FLOAT8,
                    Type::TEXT,
                    Type::TEXT,
                    Type::BYTEA,
                    Type::TEXT,
                    Type::TEXT,
                    Type::TEXT,
                    Type::TEXT,
                ],
            )
            .await
            .expect("prepared");
        let bytes: &[u8] = &[0, 255, 10];
        let inserted = client
            .execute(
                &insert,
                &[
                    &true,
                    &-2_i16,
                    &3_i32,
                    &-4_i64,
                    &0.5_f32,
                    &-0.25_f64,
                    &"1234567890123456789012345678.0123456789",
                    &"söuth\n",
                    &bytes,
                    &"2026-05-04",
                    &"10:20:30.5",
                    &"2026-05-04 10:20:30.5",
                    &"2026-05-04T10:20:30+02:00",
                ],
            )
            .await
            .expect("inserted");
        assert_eq!(inserted, 1);
        client
            .batch_execute("INSERT INTO t (id) VALUES (2)")
            .await
            .expect("inserted");

        assert_eq!(
            texts(&client, "SELECT * FROM t ORDER BY id").await,
            [
                "1|t|-2|3|-4|0.5|-0.25|1234567890123456789012345678.0123456789|söuth\n|\\x00ff0a|\
                 2026-05-04|10:20:30.500000|2026-05-04 10:20:30.500000|\
                 2026-05-04 08:20:30.000000+00",
                "2|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL"
            ]
        );
        let rows = client
            .query("SELECT * FROM t ORDER BY id", &[])
            .await
            .expect("rows");
        let (row, nulls) = (&rows[0], &rows[1]);
        assert_eq!(row.get::<_, Option<bool>>("a"), Some(true));
        assert_eq!(row.get::<_, i16>("b"), -2);
        assert_eq!(row.get::<_, i32>("c"), 3);
        assert_eq!(row.get::<_, i64>("d"), -4);
        assert_eq!(row.get::<_, f32>("e"), 0.5);
        assert_eq!(row.get::<_, f64>("f"), -0.25);
        assert_eq!(row.get::<_, &str>("h"), "söuth\n");
        assert_eq!(row.get::<_, &[u8]>("i"), bytes);
        for (position, column) in nulls.columns().iter().enumerate().skip(1) {
            let is_null = match *column.type_() {
                Type::BOOL => nulls.get::<_, Option<bool>>(position).is_none(),
                Type::TEXT => nulls.get::<_, Option<&str>>(position).is_none(),
                Type::BYTEA => nulls.get::<_, Option<&[u8]>>(position).is_none(),
                _ => true,
            };
            assert!(is_null, "{}", column.name());
        }
        let intervals = "SELECT CAST(NULL AS INTERVAL) AS none, INTERVAL '1 day' AS day, \
                         CAST(7 AS BIGINT UNSIGNED) AS big";
        assert_eq!(texts(&client, intervals).await, ["NULL|1 day|7"]);
    });
}

#[test]
fn lists_can_be_bound_and_read() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
            .await
            .expect("created");
        let statement = client
            .prepare_typed("SELECT id FROM t WHERE id = ANY(CAST($1 AS BIGINT[])) ORDER BY id", &[Type::INT8_ARRAY])
            .await
            .expect("prepared");
        let rows = client.query(&statement, &[&vec![1_i64, 3]]).await.expect("rows");
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(ids, [1, 3]);
        let rows = client
            .query("SELECT array_agg(name ORDER BY name) AS names FROM t", &[])
            .await
            .expect("rows");
        assert_eq!(rows[0].get::<_, Vec<&str>>(0), ["a", "b", "c"]);
    });
}

#[test]
fn copy_takes_and_gives_rows_in_all_formats() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT DEFAULT '?', at DATE)")
            .await
            .expect("created");
        for (copy, data, count) in [
            (
                "COPY t FROM STDIN",
                "1\ta\\tb\t2026-05-04\n2\t\\N\t\\N\n\\.\n",
                2,
            ),
            (
                "COPY t (id, name) FROM STDIN WITH (FORMAT csv, HEADER)",
                "id,name\n3,\"\"\n4,\n",
                2,
            ),
            (
                "COPY t FROM STDIN WITH CSV HEADER DELIMITER ';' NULL 'nil'",
                "a;b;c\n5;nil;\"2026-01-01\"\n",
                1,
            ),
            ("COPY t (id) FROM STDIN (FORMAT csv)", "6\n", 1),
            (
                "COPY t FROM STDIN (DELIMITER '|', NULL '')",
                "7|x\\|y|\n",
                1,
            ),
        ] {
            let sink = client.copy_in(copy).await.expect(copy);
            tokio::pin!(sink);
            sink.send(bytes::Bytes::from_static(data.as_bytes()))
                .await
                .expect("sent");
            assert_eq!(sink.finish().await.expect(copy), count, "{copy}");
        }
        let expected = [
            "1|a\tb|2026-05-04",
            "2|NULL|NULL",
            "3||NULL",
            "4|NULL|NULL",
            "5|NULL|2026-01-01",
            "6|?|NULL",
            "7|x|y|NULL",
        ];
        assert_eq!(
            texts(&client, "SELECT * FROM t ORDER BY id").await,
            expected
        );

        let copied = |sql: &'static str| {
            let client = &client;
            async move {
                let stream = client.copy_out(sql).await.expect(sql);
                tokio::pin!(stream);
                let mut data = Vec::new();
                while let Some(piece) = stream.next().await {
                    data.extend_from_slice(&piece.expect("a piece"));
                }
                data
            }
        };
        let text = copied("COPY (SELECT * FROM t WHERE id < 4 ORDER BY id) TO STDOUT").await;
        assert_eq!(
            String::from_utf8(text).expect("text"),
            "1\ta\\tb\t2026-05-04\n2\t\\N\t\\N\n3\t\t\\N\n"
        );
        let csv = copied("COPY t (id, name) TO STDOUT (FORMAT csv, HEADER)").await;
        let csv = String::from_utf8(csv).expect("text");
        assert!(
            csv.starts_with("id,name\n") && csv.contains("\n2,\n") && csv.contains("\n3,\"\"\n"),
            "{csv}"
        );
        let binary = copied("COPY t TO STDOUT (FORMAT binary)").await;
        assert!(binary.starts_with(b"PGCOPY\n") && binary.ends_with(&[255, 255]));

        let csv = "COPY t (id, name) TO STDOUT CSV HEADER QUOTE '''' FORCE QUOTE name";
        let csv = String::from_utf8(copied(csv).await).expect("text");
        assert!(
            csv.starts_with("id,name\n") && csv.contains("\n2,\n") && csv.contains("\n6,'?'\n"),
            "{csv}"
        );
        let error = client
            .simple_query("COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE (nobody))")
            .await
            .expect_err("no such column");
        assert_eq!(code(&error), Some("42703"));

        for (data, state) in [("1\ta\n", "22P04"), ("x\ta\t\\N\n", "22P02")] {
            let sink = client.copy_in("COPY t FROM STDIN").await.expect("begun");
            tokio::pin!(sink);
            sink.send(bytes::Bytes::from_static(data.as_bytes()))
                .await
                .expect("sent");
            let error = sink.finish().await.expect_err("refused");
            assert_eq!(code(&error), Some(state), "{error:?}");
        }
        let error = client
            .simple_query("COPY t FROM '/etc/passwd'")
            .await
            .expect_err("refused");
        assert_eq!(code(&error), Some("0A000"));
        assert_eq!(texts(&client, "SELECT count(*) FROM t").await, ["7"]);
    });
}

/// Sends text for a COPY; returns how many rows it were.
async fn send_copy(client: &Client, copy: &str, data: &str) -> Result<u64, Error> {
    let sink = client.copy_in(copy).await?;
    tokio::pin!(sink);
    sink.send(bytes::Bytes::from(data.to_owned())).await?;
    sink.finish().await
}

#[test]
fn copy_takes_the_options_of_postgres() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, a TEXT, b TEXT)")
            .await
            .expect("created");
        for (copy, data) in [
            (
                "COPY t FROM STDIN (FORMAT csv, FORCE_NULL (a), FORCE_NOT_NULL (b))",
                "1,\"\",\n2,,\"\"\n",
            ),
            (
                "COPY t FROM STDIN WITH CSV QUOTE AS '''' ESCAPE AS '\\' FORCE NOT NULL b",
                "3,'a\\'b\\\\c\\d',x'y'z\n4,,\n",
            ),
            ("COPY t FROM STDIN CSV", "5,a\"b,c\"d,\"e\"f\n"),
            (
                "COPY t (b, id) FROM STDIN (HEADER match, DELIMITER '|', ENCODING 'utf8')",
                "b|id\nx|6\n",
            ),
            (
                "COPY t FROM STDIN (FORMAT csv, HEADER match, DELIMITER E'\\t', NULL nil)",
                "id\ta\t\"b\"\n7\tnil\t\n",
            ),
        ] {
            send_copy(&client, copy, data).await.expect(copy);
        }
        let expected = [
            "1|NULL|",
            "2|NULL|",
            "3|a'b\\c\\d|xyz",
            "4|NULL|",
            "5|ab,cd|ef",
            "6|NULL|x",
            "7|NULL|",
        ];
        let found = texts(&client, "SELECT * FROM t ORDER BY id").await;
        assert_eq!(found, expected);

        for (copy, data) in [
            (
                "COPY t FROM STDIN (FORMAT csv, HEADER match)",
                "id,b,a\n8,,\n",
            ),
            ("COPY t FROM STDIN (FORMAT csv, HEADER match)", "id,a\n8,\n"),
            ("COPY t FROM STDIN (HEADER match)", "id\ta\tb\tc\n"),
            ("COPY t FROM STDIN CSV", "8,a\"b,c\n"),
        ] {
            let refused = send_copy(&client, copy, data).await.expect_err(copy);
            assert_eq!(code(&refused), Some("22P04"), "{copy}: {refused:?}");
        }
        for (copy, state) in [
            (
                "COPY t FROM STDIN (FORMAT csv, FORCE_NULL (nobody))",
                "42703",
            ),
            (
                "COPY t (id) FROM STDIN (FORMAT csv, FORCE_NULL (a))",
                "42703",
            ),
            ("COPY t FROM STDIN (FORMAT xml)", "22023"),
            ("COPY t FROM STDIN WHERE id > 1", "0A000"),
            ("COPY t TO STDOUT (FORMAT csv, HEADER match)", "0A000"),
            ("COPY t FROM STDIN (FORMAT csv, FORMAT csv)", "42601"),
        ] {
            let refused = client.simple_query(copy).await.expect_err(copy);
            assert_eq!(code(&refused), Some(state), "{copy}: {refused:?}");
        }
        assert_eq!(texts(&client, "SELECT count(*) FROM t").await, ["7"]);
    });
}

/// A query that would run for a very long time, and needs little memory for it: 10,000 million
/// pairs, none of which is kept.
const ENDLESS: &str = "SELECT count(*) FROM (SELECT unnest(range(0, 100000)) AS v) a, \
                       (SELECT unnest(range(0, 100000)) AS v) b \
                       WHERE md5(concat(a.v, ' ', b.v)) = 'x'";

#[test]
fn a_statement_ends_when_the_client_asks_or_its_time_is_up() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        let token = client.cancel_token();
        let cancelling = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if token.cancel_query(NoTls).await.is_err() {
                    return;
                }
            }
        });
        let error = client.simple_query(ENDLESS).await.expect_err("cancelled");
        assert_eq!(code(&error), Some("57014"), "{error:?}");
        cancelling.abort();

        let other = served.connect().await.expect("connected");
        other
            .batch_execute("SET statement_timeout = '100ms'")
            .await
            .expect("set");
        let error = other.query(ENDLESS, &[]).await.expect_err("too long");
        assert_eq!(code(&error), Some("57014"), "{error:?}");
        other
            .batch_execute("RESET statement_timeout")
            .await
            .expect("reset");
        assert_eq!(texts(&other, "SELECT 1").await, ["1"]);
    });
}

#[test]
fn portals_give_their_rows_bit_by_bit() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let mut client = served.connect().await.expect("connected");
        let transaction = client.transaction().await.expect("begun");
        let portal = transaction
            .bind("SELECT unnest(range(1, 26)) AS value", &[])
            .await
            .expect("bound");
        let mut seen = Vec::new();
        loop {
            let rows = transaction.query_portal(&portal, 10).await.expect("rows");
            if rows.is_empty() {
                break;
            }
            seen.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        }
        assert_eq!(seen, (1..=25).collect::<Vec<i64>>());
        transaction.commit().await.expect("committed");
    });
}

#[test]
fn prepared_statements_belong_to_their_session() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        let prepared = "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT); \
             PREPARE add (bigint, text) AS INSERT INTO t VALUES ($1, $2); \
             EXECUTE add (1, 'one'); EXECUTE add (1 + 1, NULL); \
             PREPARE find AS SELECT name FROM t WHERE id = $1";
        client.batch_execute(prepared).await.expect("prepared");
        let rows = client.query("EXECUTE find (1)", &[]).await.expect("found");
        assert_eq!(rows[0].get::<_, Option<&str>>("name"), Some("one"));
        let rows = client.query("EXECUTE find (2)", &[]).await.expect("found");
        assert_eq!(rows[0].get::<_, Option<&str>>(0), None);
        let other = served.connect().await.expect("connected");
        let unknown = other.query("EXECUTE find (1)", &[]).await;
        let unknown = unknown.expect_err("another session");
        assert_eq!(unknown.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME));
        // More than may be kept.
        for number in 0..254 {
            let sql = format!("PREPARE s{number} AS SELECT {number}");
            client.batch_execute(&sql).await.expect("room");
        }
        let full = client.batch_execute("PREPARE s254 AS SELECT 254").await;
        let full = full.expect_err("no room");
        assert_eq!(full.code(), Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED));
        client
            .batch_execute("DISCARD ALL")
            .await
            .expect("discarded");
        client
            .batch_execute("PREPARE s254 AS SELECT 254")
            .await
            .expect("room");
    });
}

#[test]
fn a_failed_transaction_goes_on_from_its_savepoint() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let mut client = served.connect().await.expect("connected");
        client
            .batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
            .await
            .expect("created");
        let mut transaction = client.transaction().await.expect("begun");
        transaction
            .execute("INSERT INTO t VALUES (1)", &[])
            .await
            .expect("held");
        let nested = transaction.transaction().await.expect("a savepoint");
        nested
            .execute("INSERT INTO t VALUES (2)", &[])
            .await
            .expect("held");
        nested.execute("nonsense", &[]).await.expect_err("refused");
        nested.rollback().await.expect("back to the savepoint");
        transaction
            .execute("INSERT INTO t VALUES (3)", &[])
            .await
            .expect("held");
        transaction.commit().await.expect("committed");
        assert_eq!(
            texts(&client, "SELECT id FROM t ORDER BY id").await,
            ["1", "3"]
        );
    });
}

#[test]
fn psql_copies_files_and_ends_statements() {
    if !has_program("psql", &["--version"]) {
        return;
    }
    let served = Served::start(10);
    let directory = tempfile::tempdir().expect("a directory");
    let (from, to) = (
        directory.path().join("in.csv"),
        directory.path().join("out.csv"),
    );
    std::fs::write(&from, "id,shop\n1,a\n2,\"b, c\"\n").expect("written");
    let input = format!(
        "CREATE TABLE sales (id BIGINT PRIMARY KEY, shop TEXT);\n\
         \\copy sales from '{}' (format csv, header)\n\
         \\copy (SELECT * FROM sales ORDER BY id DESC) to '{}' (format csv, header)\n",
        from.display(),
        to.display()
    );
    let (out, error) = served.psql(&[], &input);
    assert_eq!(error, "");
    assert!(out.contains("COPY 2"), "{out}");
    let copied = std::fs::read_to_string(&to).expect("a file");
    assert_eq!(copied, "id,shop\n2,\"b, c\"\n1,a\n");

    let mut child = served
        .psql_command()
        .args([
            "-c",
            "SELECT 'begun'",
            "-c",
            ENDLESS,
            "-c",
            "SELECT 'not run'",
        ])
        .spawn()
        .expect("psql starts");
    let mut out = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("begun") {
        line.clear();
        std::io::BufRead::read_line(&mut out, &mut line).expect("a line");
    }
    // As Ctrl-C does; the first may come before the statement that is to be ended.
    while child.try_wait().expect("psql runs").is_none() {
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        kill.expect("kill runs");
        std::thread::sleep(Duration::from_millis(100));
    }
    let output = child.wait_with_output().expect("psql ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("ended at the client's request"), "{error}");
}

#[test]
fn psql_describes_what_there_is() {
    if !has_program("psql", &["--version"]) {
        return;
    }
    let served = Served::start(10);
    served.psql(
        &[],
        "CREATE TABLE sales (id BIGINT PRIMARY KEY, shop TEXT NOT NULL DEFAULT 'x', price NUMERIC(10, 2));\n\
         CREATE MATERIALIZED VIEW by_shop AS SELECT shop, count(*) AS n FROM sales GROUP BY shop;\n\
         CREATE VIEW plain AS SELECT id FROM sales;\n",
    );
    for (input, expected) in [
        (
            "\\d\n",
            &[
                "public | by_shop | materialized view",
                "public | plain   | view",
                "public | sales   | table",
            ][..],
        ),
        ("\\dt\n", &["public | sales | table"]),
        ("\\dv\n", &["plain"]),
        ("\\dm\n", &["by_shop"]),
        (
            "\\d sales\n",
            &[
                "id     | bigint",
                "not null",
                "numeric(10,2)",
                "'x'",
                "\"sales_pkey\" PRIMARY KEY",
            ],
        ),
        (
            "\\d by_shop\n",
            &[
                "Materialized view \"public.by_shop\"",
                "shop   | text",
                "n      | bigint",
            ],
        ),
        ("\\d plain\n", &["View \"public.plain\"", "id     | bigint"]),
        ("\\d+ sales\n", &["Access method: columns"]),
        ("\\d+ plain\n", &["SELECT id FROM sales"]),
        ("\\dn\n", &["public"]),
        ("\\l\n", &["mainstem"]),
        ("\\l+\n", &["mainstem", "pg_default"]),
        ("\\db\n", &["pg_default"]),
        ("\\du\n", &["mainstem"]),
        ("\\dp\n", &["public | by_shop | materialized view"]),
        ("\\dconfig\n", &["statement_timeout"]),
        ("\\d+ by_shop\n", &["GROUP BY shop"]),
        ("\\dm+\n", &["by_shop", "permanent"]),
        ("\\sv plain\n", &["SELECT id FROM sales"]),
        ("\\conninfo\n", &["shop"]),
        ("\\df sum*\n", &["public | sum", "agg"]),
        ("\\df row_number\n", &["window"]),
    ] {
        let (out, error) = served.psql(&[], input);
        assert_eq!(error, "", "{input}");
        for text in expected {
            assert!(out.contains(text), "{input}: {text} is not in\n{out}");
        }
    }
    let (_, error) = served.psql(&[], "\\d nothing\n");
    assert!(error.contains("Did not find any relation"), "{error}");
    let (_, error) = served.psql(&[], "\\sf lower\n");
    assert!(error.contains("has no definition to be shown"), "{error}");
}

#[test]
fn psql_finds_nothing_where_there_is_nothing() {
    if !has_program("psql", &["--version"]) {
        return;
    }
    let served = Served::start(10);
    let commands = "\\da \\dA \\dAc \\dAf \\dAo \\dAp \\dc \\dC \\dd \\dD \\ddp \\des \\det \\deu \\dew \
                    \\df \\df+ \\dF \\dFd \\dFp \\dFt \\di \\dl \\dL \\dn+ \\do \\dO \\dP \\drds \\dRp \
                    \\dRs \\ds \\dT \\dT+ \\du+ \\dx \\dX \\dy \\z";
    for command in commands.split_whitespace() {
        let (_, error) = served.psql(&[], &format!("{command}\n"));
        // In so many words psql says of some that it has found none.
        let is_none = error.is_empty() || error.starts_with("Did not find any");
        assert!(is_none, "{command}: {error}");
    }
}
