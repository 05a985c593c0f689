//! `mainstem sql` on a terminal, typed into as a user does.

use std::process::Command;

use crate::clients::python;
use crate::serve::Served;
use crate::tools::has_program;

/// Types into the program on a pseudo terminal and waits for what it shows. The only times in it
/// are those after which it gives up.
const TYPIST: &str = r#"
import os, pty, select, sys, time
program, port, state = sys.argv[1:]

class Terminal:
    def __init__(self):
        self.shown = ""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", XDG_STATE_HOME=state, MAINSTEM_SERVE_PGWIRE=f"127.0.0.1:{port}")
            os.execv(program, [program, "sql"])

    def wait(self, *texts):
        for text in texts:
            deadline = time.monotonic() + 60
            while text not in self.shown:
                ready, _, _ = select.select([self.file], [], [], max(0, deadline - time.monotonic()))
                assert ready, f"{text!r} is not in {self.shown!r}"
                self.shown += os.read(self.file, 65536).decode("utf-8", "replace")
            self.shown = self.shown.split(text, 1)[1]

    def type(self, keys, *texts):
        os.write(self.file, keys.encode())
        self.wait(*texts)

    def end_statement(self):
        """Presses Ctrl-C until it is told that the statement ended: one that comes before the
        statement is asked for belongs to the line."""
        deadline = time.monotonic() + 60
        while "ended" not in self.shown:
            assert time.monotonic() < deadline, f"the statement goes on: {self.shown!r}"
            os.write(self.file, b"\x03")
            while select.select([self.file], [], [], 1)[0]:
                self.shown += os.read(self.file, 65536).decode("utf-8", "replace")
        self.wait("ended", PROMPT)

    def end(self):
        self.type("\x04")
        deadline = time.monotonic() + 60
        while (ended := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
            assert time.monotonic() < deadline, f"it does not end: {self.shown!r}"
            time.sleep(0.01)
        assert os.waitstatus_to_exitcode(ended[1]) == 0

UP, DOWN, LEFT = "\x1b[A", "\x1b[B", "\x1b[D"
PROMPT = "mainstem> "
DONE = (" ms\r\n", PROMPT)

t = Terminal()
t.wait("for help", PROMPT)
# Words are completed: keywords, names, and columns behind a dot.
t.type("SEL\t", "SELECT ")
t.type("by_shop.nu\t", "by_shop.number ")
t.type("FROM by_s\t", "FROM by_shop ")
t.type(";\r", "| 2 ", *DONE)
# What is not clear is listed.
t.type("SELECT by_shop.\t", "number  shop", PROMPT)
t.type("\x15", PROMPT)
# Statements over several lines are one entry of the history.
t.type("SELECT\r", "...> ")
t.type("20 + 22;\r", "42", *DONE)
t.type(UP, "SELECT 20 + 22;")
t.type(LEFT + "\x7f0\r", "40", *DONE)
t.type(UP + UP + DOWN, "SELECT 20 + 20;")
t.type("\r", "40", *DONE)
# A semicolon in quotes does not end a statement.
t.type("SELECT 'a;\r", "...> ")
t.type("b';\r", "a;", *DONE)
t.type("\\d\r", "by_shop", "sales", *DONE)
t.type("\\d by_\t\r", "number", "BIGINT", *DONE)
t.type("\\nonsense\r", "there is no command", PROMPT)
t.type("SELECT nothing;\r", "nothing", *DONE)
# A line can be given up, a statement be ended.
t.type("SELECT wrong\x03", "^C", PROMPT)
# Ten thousand million pairs, none of which is kept.
t.type("SELECT count(*) FROM (SELECT unnest(range(0, 100000)) AS v) a, (SELECT unnest(range(0, 100000)) AS v) b WHERE md5(concat(a.v, ' ', b.v)) = 'x';\r", "= 'x';", "\r\n")
# However early it is asked to end: before it is sent, planned or run.
t.end_statement()
for pause in (0, 0.001, 0.003, 0.01, 0.03, 0.1):
    t.type(UP + "\r", "= 'x';", "\r\n")
    time.sleep(pause)
    t.end_statement()
t.type("SELECT 7 * 6;\r", "42", *DONE)
t.type("\\watch 0.01\r", "42", "42", "42")
t.type("\x03", PROMPT)
t.type("\\timing\r", "timing is off", PROMPT)
t.type("\\format csv\r", PROMPT)
t.type("SELECT shop FROM by_shop;\r", "north", PROMPT)
# What is made in the conversation is completed from then on.
t.type("CREATE TABLE warehouses (id BIGINT PRIMARY KEY);\r", PROMPT)
t.type("SELECT * FROM ware\t", "FROM warehouses ")
t.type("\r", "...> ")
t.type("\x03", PROMPT)
# Rows of COPY are typed, with tabs between values, or given up.
BEGUN = ("Ctrl-D ends them", "\r\n", ">> ")
ENTERED = ("south", "\r\n", ">> ")
t.type("COPY sales FROM STDIN;\r", *BEGUN)
t.type("11\tsouth\r", *ENTERED)
t.type("\\.\r", PROMPT)
t.type("COPY sales FROM STDIN;\r", *BEGUN)
t.type("12\tsouth\r", *ENTERED)
t.type("\x03", "given up", PROMPT)
t.type("SELECT concat('rows ', count(*)) FROM sales;\r", "rows 3", PROMPT)
# Files are copied to and from.
t.type(f"\\copy (SELECT id FROM sales) TO '{state}/ids.csv' CSV\r", "ids.csv' CSV", "\r\n", PROMPT)
t.type(f"\\copy warehouses FROM '{state}/ids.csv' CSV\r", "ids.csv' CSV", "\r\n", PROMPT)
t.type("COPY (SELECT concat('all ', count(*)) FROM warehouses) TO STDOUT;\r", "all 3", PROMPT)
# Changes come as they happen.
t.type("SUBSCRIBE TO by_shop;\r", "north")
t.type("\x03", "ended", PROMPT)
t.end()

t = Terminal()
t.wait("for help", PROMPT)
t.type(UP, "SUBSCRIBE TO by_shop;")
t.type("\x15", PROMPT)
t.end()
print("typed")
"#;

#[test]
fn the_shell_completes_remembers_watches_and_ends_statements() {
    if !has_program(&python(), &["-c", "import pty"]) {
        return;
    }
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute(
                "CREATE TABLE sales (id BIGINT PRIMARY KEY, shop TEXT); \
                 INSERT INTO sales VALUES (1, 'north'), (2, 'north'); \
                 CREATE MATERIALIZED VIEW by_shop AS SELECT shop, count(*) AS number FROM sales GROUP BY shop",
            )
            .await
            .expect("created");
    });
    let state = tempfile::tempdir().expect("a directory");
    let output = Command::new(python())
        .args(["-c", TYPIST, env!("CARGO_BIN_EXE_mainstem")])
        .arg(served.address.port().to_string())
        .arg(state.path())
        .output()
        .expect("Python starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let history = state.path().join("mainstem/sql_history");
    let history = std::fs::read_to_string(history).expect("a history");
    assert!(history.contains("SELECT 20 + 22;\n"), "{history}");
}
