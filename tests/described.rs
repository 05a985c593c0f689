//! What statements are described to give before they run: clients read rows by it.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSqlOwned, Type};
use tokio_postgres::{Client, Statement};

use crate::serve::{Served, texts};

const Z: &str = "CREATE TABLE z (id INT PRIMARY KEY, k INT, v BIGINT, b BOOLEAN, f DOUBLE); \
    INSERT INTO z VALUES (1, 1, 7000000000, false, 1.5)";

/// The first column of a query about the row with number 1, read in binary.
async fn column<T: FromSqlOwned>(client: &Client, sql: &str) -> Vec<T> {
    let rows = client.query(sql, &[&1_i32]).await.expect(sql);
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn columns_are_described_in_the_types_they_are_sent_in() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(Z).await.expect("created");
        let sql = "SELECT CASE WHEN b THEN k ELSE v END FROM z WHERE id = $1";
        assert_eq!(column::<i64>(&client, sql).await, [7_000_000_000]);
        let sql = "SELECT k FROM z WHERE id = $1 UNION ALL SELECT v FROM z ORDER BY 1";
        assert_eq!(column::<i64>(&client, sql).await, [1, 7_000_000_000]);
        let sql = "SELECT k FROM z WHERE id = $1 UNION ALL SELECT f FROM z ORDER BY 1";
        assert_eq!(column::<f64>(&client, sql).await, [1.0, 1.5]);
        let sql = "SELECT k AS x FROM z WHERE id = $1 UNION SELECT 'b' ORDER BY x";
        assert_eq!(column::<String>(&client, sql).await, ["1", "b"]);
        let sql = "SELECT DATE '2026-05-04' AS x FROM z WHERE id = $1 \
                   UNION SELECT TIMESTAMP '2026-05-04 10:20:30' ORDER BY x";
        let times = column::<std::time::SystemTime>(&client, sql).await;
        let since = times[1].duration_since(times[0]).expect("in order");
        assert_eq!(since, Duration::from_secs(10 * 3600 + 20 * 60 + 30));
        let sql = "SELECT (SELECT CASE WHEN y.b THEN y.k ELSE y.v END FROM z AS y \
                   WHERE y.id = z.id) FROM z WHERE id = $1";
        assert_eq!(column::<i64>(&client, sql).await, [7_000_000_000]);
        let sql = "INSERT INTO z SELECT id + 1, 2, 3, false, 0.5 FROM z WHERE id = $1 \
                   RETURNING CASE WHEN b THEN k ELSE v END";
        assert_eq!(column::<i64>(&client, sql).await, [3]);
    });
}

#[test]
fn views_and_parameters_are_described_as_they_run() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(Z).await.expect("created");
        let view = "CREATE VIEW pairs AS SELECT id, k AS n FROM z UNION ALL SELECT id, v FROM z";
        client.batch_execute(view).await.expect("created");
        let sql = "SELECT n FROM pairs WHERE id = $1 ORDER BY n";
        assert_eq!(column::<i64>(&client, sql).await, [1, 7_000_000_000]);
        let client_types = |statement: &Statement| -> Vec<Type> {
            let columns = statement.columns().iter();
            columns.map(|column| column.type_().clone()).collect()
        };
        let sql = "SELECT $1, coalesce(k, v), k + f FROM z LIMIT $2";
        let statement = client.prepare(sql).await.expect("prepared");
        let types = client_types(&statement);
        assert_eq!(types, [Type::TEXT, Type::INT8, Type::FLOAT8]);
        assert_eq!(statement.params(), [Type::TEXT, Type::INT8]);
        let rows = client.query(&statement, &[&"a", &1_i64]).await;
        let rows = rows.expect("rows");
        assert_eq!(rows[0].get::<_, &str>(0), "a");
        assert_eq!(rows[0].get::<_, f64>(2), 2.5);
        // The statement itself asks for an integer.
        let prepare = "PREPARE total (double) AS SELECT k + $1 FROM z";
        client.batch_execute(prepare).await.expect("prepared");
        let rows = client.query("EXECUTE total (1.5)", &[]).await;
        assert_eq!(rows.expect("rows")[0].get::<_, f64>(0), 2.5);
    });
}

#[test]
fn a_table_made_anew_does_not_change_what_was_described() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute("CREATE TABLE r (id INT PRIMARY KEY, v INT)")
            .await
            .expect("created");
        let statement = client.prepare("SELECT v FROM r").await.expect("prepared");
        client
            .batch_execute(
                "DROP TABLE r; CREATE TABLE r (id INT PRIMARY KEY, v BIGINT); \
                 INSERT INTO r VALUES (1, 8)",
            )
            .await
            .expect("made anew");
        let rows = client.query(&statement, &[]).await.expect("it has room");
        assert_eq!(rows[0].get::<_, i32>(0), 8);
        client
            .batch_execute("INSERT INTO r VALUES (2, 7000000000)")
            .await
            .expect("inserted");
        let refused = client.query(&statement, &[]).await;
        let refused = refused.expect_err("no number of four bytes");
        assert_eq!(refused.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
        let other = "DROP TABLE r; CREATE TABLE r (id INT PRIMARY KEY, v BOOLEAN, w INT)";
        client.batch_execute(other).await.expect("made anew");
        let statement = client.prepare("SELECT * FROM r").await.expect("prepared");
        let other = "DROP TABLE r; CREATE TABLE r (id INT PRIMARY KEY)";
        client.batch_execute(other).await.expect("made anew");
        let refused = client.query(&statement, &[]).await;
        let refused = refused.expect_err("fewer columns");
        assert_eq!(refused.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    });
}

#[test]
fn structures_tell_null_from_empty_texts() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        for (fields, text) in [
            ("'a', 4, 'b', CAST(NULL AS TEXT)", "(4,)"),
            ("'a', 4, 'b', ''", "(4,\"\")"),
            ("'a', 'x y', 'b', '\"', 'c', true", "(\"x y\",\"\"\"\",t)"),
            ("'a', CAST(1.5 AS NUMERIC(5, 2)), 'b', NULL", "(1.50,)"),
            (
                "'a', named_struct('b', CAST(NULL AS TEXT), 'c', 1), 'd', 2",
                "(\"(,1)\",2)",
            ),
        ] {
            let sql = format!("SELECT named_struct({fields})");
            assert_eq!(texts(&client, &sql).await, [text], "{sql}");
        }
    });
}

#[test]
fn parameters_are_of_the_types_of_what_they_meet() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute(
                "CREATE TABLE p (id INT PRIMARY KEY, s SMALLINT, w NUMERIC(6, 2), x DOUBLE, \
                 t TEXT, d DATE, at TIMESTAMP); \
                 INSERT INTO p VALUES (1, 7, 1.5, 0.5, 'a', DATE '2026-05-04', \
                 TIMESTAMP '2026-05-04 10:20:30')",
            )
            .await
            .expect("created");
        for (sql, types) in [
            ("SELECT id FROM p WHERE s = $1", vec![Type::INT2]),
            ("SELECT id FROM p WHERE w > $1", vec![Type::NUMERIC]),
            ("SELECT id FROM p WHERE d = $1", vec![Type::DATE]),
            ("SELECT id FROM p WHERE s = $1 OR id = $1", vec![Type::INT4]),
            ("SELECT at + $1 FROM p", vec![Type::INTERVAL]),
            (
                "SELECT at - $1 FROM p LIMIT $2",
                vec![Type::TIMESTAMP, Type::INT8],
            ),
            (
                "SELECT $1::INT, CAST($2 AS DATE)",
                vec![Type::INT4, Type::DATE],
            ),
            ("SELECT INTERVAL '1 day' * $1", vec![Type::FLOAT8]),
            (
                "UPDATE p SET s = $1, t = $2 WHERE id = $3",
                vec![Type::INT2, Type::TEXT, Type::INT4],
            ),
            (
                "INSERT INTO p (id, s) VALUES ($1, $2)",
                vec![Type::INT4, Type::INT2],
            ),
        ] {
            let statement = client.prepare(sql).await.expect(sql);
            assert_eq!(statement.params(), types, "{sql}");
        }
        let rows = client
            .query("SELECT id FROM p WHERE s = $1 OR id = $1", &[&7_i32])
            .await;
        assert_eq!(rows.expect("rows")[0].get::<_, i32>(0), 1);
        let updated = client.execute("UPDATE p SET s = $1 WHERE id = $2", &[&8_i16, &1_i32]);
        assert_eq!(updated.await.expect("updated"), 1);
        // What the client binds is not cut to the column's type.
        for (sql, found) in [
            ("SELECT count(*) FROM p WHERE w = $1", 0_i64),
            ("SELECT count(*) FROM p WHERE s < $1", 1),
            ("SELECT count(*) FROM p WHERE id = $1", 0),
        ] {
            let statement = client.prepare_typed(sql, &[Type::FLOAT8]).await.expect(sql);
            let bound = if sql.contains("s <") { 8.5 } else { 1.503 };
            let rows = client.query(&statement, &[&bound]).await.expect(sql);
            assert_eq!(rows[0].get::<_, i64>(0), found, "{sql}");
        }
        // Where nothing else says the type of a parameter it is the one that the client declares.
        let sql =
            "SELECT $1, CAST(DATE '2026-05-04' - $1 AS TEXT), id * $2, coalesce(id > 5, $3) FROM p";
        let types = [Type::INT4, Type::FLOAT8, Type::BOOL];
        let statement = client.prepare_typed(sql, &types).await.expect(sql);
        assert_eq!(statement.params(), types);
        let rows = client.query(&statement, &[&3_i32, &2.5_f64, &true]).await;
        let row = &rows.expect(sql)[0];
        assert_eq!(row.get::<_, i32>(0), 3);
        assert_eq!(row.get::<_, &str>(1), "2026-05-01");
        assert_eq!(row.get::<_, f64>(2), 2.5);
        assert!(!row.get::<_, bool>(3));
        let sql = "SELECT count(*) FROM p WHERE s < $1";
        let statement = client.prepare_typed(sql, &[Type::INT8]).await.expect(sql);
        let rows = client.query(&statement, &[&70_000_i64]).await.expect(sql);
        assert_eq!(rows[0].get::<_, i64>(0), 1);
    });
}

#[test]
fn positions_and_counts_are_bigint() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(Z).await.expect("created");
        let view = "CREATE MATERIALIZED VIEW numbered AS SELECT id, \
                    row_number() OVER (ORDER BY v) AS n, rank() OVER (ORDER BY k) AS r, \
                    count(*) OVER () AS c FROM z";
        client.batch_execute(view).await.expect("created");
        for sql in [
            "SELECT row_number() OVER (ORDER BY v) FROM z WHERE id = $1",
            "SELECT ntile(2) OVER (ORDER BY v) FROM z WHERE id = $1",
            "SELECT dense_rank() OVER (ORDER BY v) FROM z WHERE id = $1",
            "SELECT n FROM numbered WHERE id = $1",
            "SELECT r FROM numbered WHERE id = $1",
            "SELECT c FROM numbered WHERE id = $1",
        ] {
            assert_eq!(column::<i64>(&client, sql).await, [1], "{sql}");
        }
        let sql = "SELECT id FROM numbered WHERE n = $1";
        let statement = client.prepare(sql).await.expect("prepared");
        assert_eq!(statement.params(), [Type::INT8]);
        let rows = client.query(&statement, &[&1_i64]).await.expect("rows");
        assert_eq!(rows.len(), 1);
        let rows = client.query(&statement, &[&-1_i64]).await.expect("rows");
        assert_eq!(rows.len(), 0);
        let sql = "SELECT CAST(18446744073709551615 AS BIGINT UNSIGNED)";
        let refused = client.query(sql, &[]).await.expect_err("no such number");
        assert_eq!(refused.code(), Some(&SqlState::NUMERIC_VALUE_OUT_OF_RANGE));
    });
}

#[test]
fn lists_tell_null_from_empty_texts_and_keep_their_digits() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        for (list, expected) in [
            ("make_array(1, NULL)", "{1,NULL}"),
            (
                "make_array('', NULL, 'NULL', 'a b')",
                "{\"\",NULL,\"NULL\",\"a b\"}",
            ),
            ("make_array(CAST(1.5 AS NUMERIC(3, 1)), NULL)", "{1.5,NULL}"),
            (
                "make_array(CAST('99999999999999999999999999999999999999' AS NUMERIC(38, 0)))",
                "{99999999999999999999999999999999999999}",
            ),
            (
                "make_array(named_struct('a', 1, 'b', CAST(NULL AS TEXT)))",
                "{\"(1,)\"}",
            ),
            (
                "make_array(make_array(1, NULL), make_array(2))",
                "[[1, NULL], [2]]",
            ),
        ] {
            let found = texts(&client, &format!("SELECT {list}")).await;
            assert_eq!(found, [expected], "{list}");
        }
        let binary = "SELECT make_array(make_array(1), make_array(2, 3)) AS nested";
        let rows = client.query(binary, &[]).await.expect("rows");
        assert_eq!(rows[0].get::<_, &str>(0), "[[1], [2, 3]]");
    });
}

#[test]
fn infinity_is_written_as_in_postgres() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        let sql = "SELECT CAST('-Infinity' AS DOUBLE), CAST('Infinity' AS REAL)";
        assert_eq!(texts(&client, sql).await, ["-Infinity|Infinity"]);
    });
}
