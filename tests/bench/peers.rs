//! The scripts that run other systems on the same rows.

use std::path::Path;
use std::process::Command;

use crate::tools::{has_program, text_of};

fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// A script of benches/peers with what it prints; `-B`: it leaves nothing behind.
fn peer(directory: &Path, script: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let mut command = Command::new(python());
    command.arg("-B").arg(path.join(script)).args(arguments);
    let output = command.current_dir(directory).output();
    let output = output.expect("Python runs");
    let text = text_of(&output);
    assert!(output.status.success(), "{script}: {text}");
    text
}

#[test]
fn scripts_of_peers_say_what_they_take() {
    if !has_program(&python(), &["--version"]) {
        return;
    }
    // The others import what they need where they need it.
    let has_duckdb = has_program(&python(), &["-c", "import duckdb"]);
    let mut scripts = vec!["dbsp", "differential", "flink", "pathway"];
    scripts.extend(has_duckdb.then_some("duckdb"));
    for name in scripts {
        let script = format!("{name}_retail.py");
        let help = peer(Path::new("."), &script, &["--help"]);
        for option in ["--mainstem", "--lines", "--turns"] {
            assert!(help.contains(option), "{script}: {help}");
        }
    }
}

#[test]
fn views_have_the_rows_that_duckdb_computes_from_the_same_input() {
    if !has_program(&python(), &["-c", "import duckdb"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let program = env!("CARGO_BIN_EXE_mainstem");
    let once = ["--mainstem", program, "--turns", "1", "--lines", "2000"];
    let small = ["--scale", "0.02", "--rate", "2000", "--seconds", "0.5"];
    let arguments = [&once[..], &small].concat();
    let text = peer(directory.path(), "duckdb_retail.py", &arguments);
    assert!(text.contains("the same rows in all views"), "{text}");
    let left = std::fs::read_dir(directory.path()).expect("readable");
    assert_eq!(left.count(), 0, "what was compared is removed again");
}
