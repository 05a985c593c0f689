//! Rules of the house that a compiler does not know: layers, file lengths, panics, docs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order of an event's path: each may use those before it.
const LAYERS: &[&str] = &[
    "model", "log", "sql", "dataflow", "view", "snapshot", "engine", "source", "config", "serve",
    "bench", "cli",
];

/// Longer files have more than one idea.
const LONGEST_FILE: usize = 520;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &Path, extension: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|other| other == extension) {
            let name = path.strip_prefix(repository()).expect("inside").display();
            let text = fs::read_to_string(&path).expect("UTF-8 text");
            found.insert(name.to_string(), text);
        }
    }
}

fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    files(&repository().join("src"), "rs", &mut found);
    found
}

/// The text before a file's own tests.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]")
        .map_or(text, |tests| &text[..tests])
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

#[test]
fn modules_use_only_lower_layers() {
    let mut violations = Vec::new();
    for (name, text) in sources() {
        let module = name.split('/').nth(1).unwrap_or_default();
        let Some(layer) = LAYERS.iter().position(|layer| *layer == module) else {
            continue;
        };
        for (number, line) in without_tests(&text).lines().enumerate() {
            for higher in &LAYERS[layer + 1..] {
                let is_comment = line.trim_start().starts_with("//");
                if !is_comment && line.contains(&format!("crate::{higher}")) {
                    violations.push(format!("{name}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn libraries_stay_in_their_rooms() {
    let rooms: &[(&str, &[&str])] = &[
        ("timely", &["dataflow"]),
        ("differential_dataflow", &["dataflow"]),
        ("pgwire", &["serve"]),
        ("axum", &["serve", "cli"]),
        ("clap", &["config", "cli"]),
        ("indicatif", &["cli"]),
    ];
    let mut violations = Vec::new();
    for (name, text) in sources() {
        let module = name.split('/').nth(1).unwrap_or_default();
        for (library, allowed) in rooms {
            let used = without_tests(&text).contains(&format!("use {library}::"));
            if used && !allowed.contains(&module) {
                violations.push(format!("{name} uses {library}"));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn files_are_short_and_begin_with_what_they_are_for() {
    let mut found = sources();
    files(&repository().join("tests"), "rs", &mut found);
    for (name, text) in found {
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{name} has {lines} lines");
        assert!(text.starts_with("//!"), "{name} does not begin with //!");
    }
}

#[test]
fn nothing_unwraps_outside_of_tests() {
    for (name, text) in sources() {
        if is_test(&name) {
            continue;
        }
        for word in [".unwrap()", "todo!(", "unimplemented!(", "dbg!("] {
            assert!(!without_tests(&text).contains(word), "{name} has {word}");
        }
    }
}

#[test]
fn shipped_sql_says_what_it_answers() {
    let mut found = BTreeMap::new();
    files(&repository().join("dataflows"), "sql", &mut found);
    files(&repository().join("queries"), "sql", &mut found);
    assert!(found.len() >= 13, "views and queries are shipped");
    for (name, text) in found {
        assert!(
            text.starts_with("-- "),
            "{name} does not begin with a comment"
        );
    }
}
