//! What psql does and asks for.

use std::process::Command;
use std::time::Duration;

use super::ENDLESS;
use crate::serve::Served;
use crate::tools::has_program;

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
