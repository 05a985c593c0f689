//! The README is true: its SQL gives the answers it prints, its files work, its commands exist.

use std::fs;
use std::path::Path;

use clap::Parser;
use mainstem::cli::Cli;

use crate::engine::{open, run, runtime};
use crate::tools::{ask, mainstem_succeeds};

/// A fenced block: what stands behind the fence, and the lines in it.
struct Block {
    info: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).expect("the README");
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in readme.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Block {
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text += line;
                block.text += "\n";
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn its_sql_gives_the_printed_answers() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        let blocks = blocks();
        let mut answers = 0;
        for (position, block) in blocks.iter().enumerate() {
            if block.info != "sql" {
                continue;
            }
            let answer = match run(&mut session, &block.text).await {
                Ok(answer) => answer,
                Err(error) => error.to_string(),
            };
            if let Some(printed) = blocks.get(position + 1).filter(|next| next.info == "text") {
                assert_eq!(answer.trim(), printed.text.trim(), "{}", block.text);
                answers += 1;
            }
        }
        assert!(answers > 0);
        engine.shutdown();
    });
}

#[test]
fn its_commands_exist() {
    let blocks = blocks();
    let scripts = blocks.iter().filter(|block| block.info == "sh");
    let lines = scripts.flat_map(|block| block.text.lines());
    for line in lines {
        let line = line.split(" # ").next().unwrap_or_default().trim();
        let command = line
            .strip_prefix("cargo run --release -- ")
            .or_else(|| line.strip_prefix("mainstem "));
        if let Some(command) = command {
            let words = std::iter::once("mainstem".to_owned()).chain(words(command));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }
}

/// The words of a shell command; double quotes keep spaces.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (position, part) in command.split('"').enumerate() {
        match position % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[test]
fn its_files_are_read() {
    let directory = tempfile::tempdir().expect("a directory");
    for block in blocks() {
        if let Some((_, file)) = block.info.split_once(' ') {
            fs::write(directory.path().join(file), block.text).expect("written");
        }
    }
    mainstem_succeeds(directory.path(), &["check"]);
    for _ in 0..2 {
        mainstem_succeeds(directory.path(), &["run", "--once"]);
        let lines = ask(
            directory.path(),
            "SELECT count(*) AS lines, sum(total_minor) AS total FROM order_lines",
        );
        assert_eq!(lines, "lines,total\n2,4190\n");
        let rejected = ask(
            directory.path(),
            "SELECT source, reason FROM rejected_events",
        );
        assert_eq!(rejected.lines().count(), 2, "{rejected}");
        assert!(rejected.contains("one"), "{rejected}");
    }
    let arguments = ["snapshot", "--data-dir", "mainstem-data"];
    mainstem_succeeds(directory.path(), &arguments);
}
