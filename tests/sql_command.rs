//! `mainstem sql` with text that is given or piped in, of a running and of a stopped engine.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::engine::open;
use crate::program::PROGRAM;
use crate::serve::Served;

/// An engine that is asked by the program.
struct Asked<'d> {
    directory: &'d Path,
    /// The arguments that say which engine it is.
    target: Vec<String>,
}

impl Asked<'_> {
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(PROGRAM)
            .arg("sql")
            .args(&self.target)
            .args(arguments)
            .current_dir(self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mainstem starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // What fails at once reads nothing.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("mainstem ends")
    }

    /// What is printed where all goes well.
    fn prints(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} {input}: {error}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What is printed, and what is told of a failure.
    fn fails(&self, arguments: &[&str], input: &str) -> (String, String) {
        let output = self.run(arguments, input);
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {input}");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (text(output.stdout), text(output.stderr))
    }
}

/// Runs a test with a running engine, and with the directory of a stopped one.
fn with_both(test: impl Fn(&Asked<'_>)) {
    let directory = tempfile::tempdir().expect("a directory");
    let served = Served::start(10);
    test(&Asked {
        directory: directory.path(),
        target: vec!["--serve-pgwire".to_owned(), served.address.to_string()],
    });
    let directory = tempfile::tempdir().expect("a directory");
    open(&directory.path().join("data"), 1).shutdown();
    test(&Asked {
        directory: directory.path(),
        target: vec!["--data-dir".to_owned(), "data".to_owned()],
    });
}

const TABLE: &str = "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT)";

#[test]
fn rows_of_copy_stand_in_scripts() {
    with_both(|asked| {
        let script = format!(
            "{TABLE};\nBEGIN;\nCOPY t FROM STDIN;\n1\tnorth;\n2\t\\N\n3\t'a\n\\.\n\
             COPY t (name, id) FROM STDIN (FORMAT csv, HEADER);\nname,id\n\"\\.\",4\n\"\",5\n\\.\n\
             COMMIT;\nSELECT id, name FROM t ORDER BY id;\n\
             COPY (SELECT name, id FROM t WHERE id <> 3 ORDER BY id) TO STDOUT;\n"
        );
        let printed = asked.prints(&["--format", "csv"], &script);
        let expected = "id,name\n1,north;\n2,\n3,'a\n4,\\.\n5,\n\
                        north;\t1\n\\N\t2\n\\\\.\t4\n\t5\n";
        assert_eq!(printed.replace("5,\"\"", "5,"), expected);
        // Without an end marker they go on to the end of the text.
        let printed = asked.prints(&[], "copy t\nfrom stdin csv;\n6,x\n7,y");
        assert_eq!(printed, "COPY 2\n");
        // A failure ends the script; what was before it stays.
        let script = "COPY t FROM STDIN;\n8\tx\n\\.\nCOPY t FROM STDIN;\n9\tx\nten\tx\n\\.\n\
                      INSERT INTO t VALUES (11, 'x');\n";
        let (printed, failure) = asked.fails(&[], script);
        assert_eq!(printed, "COPY 1\n");
        assert!(failure.contains("column id"), "{failure}");
        let count = "COPY (SELECT count(*) FROM t WHERE id > 7) TO STDOUT";
        assert_eq!(asked.prints(&[count], ""), "1\n");
    });
}

#[test]
fn rows_of_copy_are_piped_in_and_out() {
    with_both(|asked| {
        asked.prints(&[TABLE], "");
        let many: String = (0..20_000).map(|id| format!("{id},name {id}\n")).collect();
        let filled = asked.prints(&["COPY t FROM STDIN CSV"], &many);
        assert_eq!(filled, "COPY 20000\n");
        let copied = asked.prints(&["COPY (SELECT * FROM t ORDER BY id) TO STDOUT CSV"], "");
        assert_eq!(copied, many);
        // Its format is that of the COPY.
        let sql = "SELECT 1 AS one; COPY (SELECT 2 AS two) TO STDOUT CSV HEADER; SELECT 3 AS three";
        let printed = asked.prints(&["--format", "csv", sql], "");
        assert_eq!(printed, "one\n1\ntwo\n2\nthree\n3\n");
        let binary = asked.run(&["COPY (SELECT 1) TO STDOUT (FORMAT binary)"], "");
        assert!(binary.stdout.starts_with(b"PGCOPY\n\xff\r\n\0"));
        for (sql, told) in [
            ("COPY nowhere FROM STDIN", "nowhere"),
            ("COPY t FROM STDIN (FORMAT binary)", "CSV or text"),
            ("COPY (SELECT nothing FROM t) TO STDOUT", "nothing"),
            ("COPY (SELECT 1 / (id - 5) FROM t) TO STDOUT", "zero"),
            ("COPY t FROM 'rows.csv'", "COPY to or from a file"),
        ] {
            let (_, failure) = asked.fails(&[sql], "1,a\n");
            assert!(failure.contains(told), "{sql}: {failure}");
        }
    });
}

#[test]
fn files_are_copied_beside_the_command() {
    with_both(|asked| {
        asked.prints(&[TABLE], "");
        let file = asked.directory.join("it's.csv");
        fs::write(&file, "id,name\n1,a\n2,\n").expect("written");
        let script = "\\copy t FROM 'it''s.csv' (FORMAT csv, HEADER match)\n\
                      INSERT INTO t VALUES (3, 'c');\n\
                      \\copy (SELECT id, name FROM t ORDER BY id) TO copied.csv CSV HEADER\n";
        asked.prints(&[], script);
        let copied = fs::read_to_string(asked.directory.join("copied.csv"));
        assert_eq!(copied.expect("a file"), "id,name\n1,a\n2,\n3,c\n");
        for (line, told) in [
            ("\\copy t FROM 'missing.csv'", "missing.csv"),
            ("\\copy t", "write \\copy"),
            ("\\d", "on a terminal"),
        ] {
            let (_, failure) = asked.fails(&[], line);
            assert!(failure.contains(told), "{line}: {failure}");
        }
    });
}
