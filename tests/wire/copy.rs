//! COPY over the Postgres protocol: its formats and its options.

use futures::{SinkExt, StreamExt};
use tokio_postgres::{Client, Error};

use crate::serve::{Served, code, texts};

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
