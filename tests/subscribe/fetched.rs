//! Subscriptions by COPY and by cursor.

use std::pin::pin;

use futures::StreamExt;

use crate::serve::{Served, code, texts};

#[test]
fn subscriptions_come_by_copy_and_cursor_too() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute("CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1), (1), (2)")
            .await
            .expect("created");
        let reader = served.connect().await.expect("connected");
        let copy = reader
            .copy_out("COPY (SUBSCRIBE TO t) TO STDOUT (FORMAT csv)")
            .await;
        let mut copy = pin!(copy.expect("subscribed"));
        let mut lines = Vec::new();
        let mut line = async |copy: &mut std::pin::Pin<&mut tokio_postgres::CopyOutStream>| {
            while lines.is_empty() {
                let data = copy.next().await.expect("no end").expect("data");
                let text = String::from_utf8(data.to_vec()).expect("text");
                lines.extend(text.lines().map(str::to_owned));
            }
            let line: String = lines.remove(0);
            line.split_once(',').expect("columns").1.to_owned()
        };
        let mut first = vec![
            line(&mut copy).await,
            line(&mut copy).await,
            line(&mut copy).await,
        ];
        first.sort();
        assert_eq!(first, ["1,1", "1,1", "1,2"]);
        client
            .batch_execute("DELETE FROM t WHERE a = 2")
            .await
            .expect("deleted");
        assert_eq!(line(&mut copy).await, "-1,2");

        let cursor = served.connect().await.expect("connected");
        cursor
            .batch_execute("BEGIN; DECLARE c CURSOR FOR SUBSCRIBE TO t WITH (snapshot = false)")
            .await
            .expect("declared");
        client
            .batch_execute("INSERT INTO t VALUES (7)")
            .await
            .expect("inserted");
        let rows = texts(&cursor, "FETCH 10 FROM c").await;
        let rows: Vec<&str> = rows
            .iter()
            .map(|row| row.split_once('|').expect("columns").1)
            .collect();
        assert_eq!(rows, ["1|7"]);
        for timeout in ["'0s'", "'20ms'"] {
            let sql = format!("FETCH ALL FROM c WITH (timeout = {timeout})");
            assert_eq!(texts(&cursor, &sql).await, Vec::<String>::new(), "{timeout}");
        }
        client
            .batch_execute("INSERT INTO t VALUES (8)")
            .await
            .expect("inserted");
        let rows = texts(&cursor, "FETCH ALL FROM c WITH (timeout = '10min')").await;
        assert_eq!(rows.len(), 1);
        for (sql, state) in [
            ("FETCH ALL FROM c WITH (timeout = 'soon')", "22023"),
            ("FETCH ALL FROM c WITH (patience = 1)", "0A000"),
            ("FETCH PRIOR FROM c", "0A000"),
        ] {
            let error = cursor.simple_query(sql).await.expect_err(sql);
            assert_eq!(code(&error), Some(state), "{error:?}");
            cursor.batch_execute("ROLLBACK; BEGIN").await.expect("begun");
            cursor
                .batch_execute("DECLARE c CURSOR FOR SUBSCRIBE TO t")
                .await
                .expect("declared");
        }
        // The time of a statement ends a FETCH that waits, and the cursor goes on.
        cursor
            .batch_execute("COMMIT; DECLARE d CURSOR FOR SUBSCRIBE TO t WITH (snapshot = false); SET statement_timeout = '50ms'")
            .await
            .expect("declared");
        let error = cursor.simple_query("FETCH 1 FROM d").await.expect_err("too long");
        assert_eq!(code(&error), Some("57014"), "{error:?}");
        cursor.batch_execute("SET statement_timeout = 0").await.expect("set");
        client
            .batch_execute("INSERT INTO t VALUES (9)")
            .await
            .expect("inserted");
        assert_eq!(texts(&cursor, "FETCH 1 FROM d").await.len(), 1);
        cursor.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT 1").await.expect("declared");
        cursor
            .batch_execute("CLOSE c; COMMIT")
            .await
            .expect("ended");
    });
}
