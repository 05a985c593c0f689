//! The notebook runs from top to bottom against the demo, as its first cell says.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::clients::python;
use crate::tools::{free_address, has_program, text_of};

/// How many questions the demo answers before it only serves.
const QUESTIONS: usize = 6;

/// The demo, which is stopped when the test ends, however it ends.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a small demo and waits until it has answered its questions.
fn start_demo(directory: &Path, pgwire: &str, http: &str) -> Demo {
    let log = directory.join("demo.txt");
    let file = File::create(&log).expect("a file");
    let child = Command::new(env!("CARGO_BIN_EXE_mainstem"))
        .args(["demo", "--scale", "0.05", "--days", "45"])
        .args(["--serve-pgwire", pgwire, "--serve-http", http])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn();
    let mut demo = Demo(child.expect("mainstem starts"));
    let output = demo.0.stdout.take().expect("it is piped");
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    let answers = lines.filter(|line| line.ends_with(" row") || line.ends_with(" rows"));
    let answered = answers.take(QUESTIONS).count();
    if answered < QUESTIONS {
        // It has ended, or it would still be waited for; what it says is then whole.
        let _ = demo.0.wait();
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        panic!("the demo ends after {answered} answers: {said}");
    }
    demo
}

#[test]
fn the_notebook_runs() {
    let needed = "import duckdb, matplotlib, pandas, psycopg";
    if !has_program(&python(), &["-c", needed]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let (pgwire, http) = (free_address(), free_address());
    let _demo = start_demo(directory.path(), &pgwire.to_string(), &http.to_string());
    let (host, port) = (pgwire.ip(), pgwire.port());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python())
        .arg(root.join("tests/run_notebook.py"))
        .arg(root.join("notebooks/live_views.ipynb"))
        .current_dir(directory.path())
        .env(
            "MAINSTEM_POSTGRES",
            format!("host={host} port={port} user=notebook dbname=any"),
        )
        .env("MAINSTEM_HTTP", format!("http://{http}"))
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", text_of(&output));
}
