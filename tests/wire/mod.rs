//! The Postgres protocol in detail: types in both formats, cancel, timeouts, portals.

mod copy;
mod psql;

use std::time::Duration;

use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::serve::{Served, code, texts};

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
