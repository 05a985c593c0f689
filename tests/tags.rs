//! The tags that clients are told when a statement is complete, which drivers and scripts read.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::serve::{Served, code_of, received};

/// The tag of each statement of a text.
async fn tags(stream: &mut TcpStream, sql: &str) -> Vec<String> {
    let length = u32::try_from(sql.len() + 5).expect("short");
    let message = [&b"Q"[..], &length.to_be_bytes()[..], sql.as_bytes(), b"\0"].concat();
    stream.write_all(&message).await.expect("sent");
    let mut tags = Vec::new();
    loop {
        let (kind, body) = received(stream).await;
        match kind {
            b'C' => {
                let tag = body.strip_suffix(b"\0").expect("a text");
                tags.push(String::from_utf8_lossy(tag).into_owned());
            }
            b'E' => panic!("{sql}: {}", code_of(&body)),
            b'Z' => return tags,
            _ => {}
        }
    }
}

#[test]
fn statements_have_the_tags_of_postgres() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let mut stream = served.raw().await;
        for (sql, tag) in [
            (
                "CREATE TABLE t (id INT PRIMARY KEY, n BIGINT)",
                "CREATE TABLE",
            ),
            ("CREATE VIEW plain AS SELECT id FROM t", "CREATE VIEW"),
            (
                "CREATE MATERIALIZED VIEW live AS SELECT id FROM t",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO t VALUES (1, 1), (2, 2)", "INSERT 0 2"),
            ("INSERT INTO t VALUES (3, 3) RETURNING id", "INSERT 0 1"),
            ("UPDATE t SET n = n + 1 WHERE id > 1", "UPDATE 2"),
            ("DELETE FROM t WHERE id = 3", "DELETE 1"),
            ("SELECT id FROM t", "SELECT 2"),
            ("VALUES (1)", "SELECT 1"),
            ("TABLE t", "SELECT 2"),
            ("PREPARE one AS SELECT 1", "PREPARE"),
            ("EXECUTE one", "SELECT 1"),
            ("PREPARE add AS INSERT INTO t VALUES ($1, 0)", "PREPARE"),
            ("EXECUTE add (4)", "INSERT 0 1"),
            ("DEALLOCATE one", "DEALLOCATE"),
            ("DEALLOCATE ALL", "DEALLOCATE ALL"),
            ("SHOW timezone", "SHOW"),
            ("SET application_name = 'x'", "SET"),
            ("RESET application_name", "RESET"),
            ("RESET ALL", "RESET"),
            ("EXPLAIN SELECT id FROM t", "EXPLAIN"),
            ("EXPLAIN ANALYZE SELECT id FROM t", "EXPLAIN"),
            ("BEGIN", "BEGIN"),
            ("DECLARE c CURSOR FOR SELECT id FROM t", "DECLARE CURSOR"),
            ("FETCH 2 FROM c", "FETCH 2"),
            ("FETCH ALL FROM c", "FETCH 1"),
            ("CLOSE c", "CLOSE CURSOR"),
            ("CLOSE ALL", "CLOSE CURSOR ALL"),
            ("SAVEPOINT here", "SAVEPOINT"),
            ("ROLLBACK TO here", "ROLLBACK"),
            ("RELEASE here", "RELEASE"),
            ("COMMIT", "COMMIT"),
            ("START TRANSACTION", "START TRANSACTION"),
            ("ROLLBACK", "ROLLBACK"),
            ("TRUNCATE t", "TRUNCATE TABLE"),
            ("DISCARD PLANS", "DISCARD PLANS"),
            ("DISCARD TEMP", "DISCARD TEMP"),
            ("DISCARD ALL", "DISCARD ALL"),
            ("DROP MATERIALIZED VIEW live", "DROP MATERIALIZED VIEW"),
            ("DROP VIEW plain", "DROP VIEW"),
            ("DROP TABLE t", "DROP TABLE"),
        ] {
            assert_eq!(tags(&mut stream, sql).await, [tag], "{sql}");
        }
    });
}
