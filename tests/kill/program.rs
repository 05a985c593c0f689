//! Starts the program so that it writes checkpoints and new files of the log often, and so that it
//! dies or its disk fails.

use std::path::Path;
use std::process::Command;

use crate::program::{PROGRAM, Program};

const ARGUMENTS: [&str; 8] = [
    "--data-dir",
    "data",
    "--checkpoint-every",
    "1s",
    "--log-retain",
    "1s",
    "--log-segment",
    "1 MiB",
];

/// Starts the program on a data directory; it may not be ready yet.
pub fn start(directory: &Path) -> Program {
    Program::start(directory, &ARGUMENTS)
}

/// Starts the program, which dies at a point of its writing: see `FatalPoint`.
pub fn start_dying(directory: &Path, point: &str) -> Program {
    let mut command = Command::new(PROGRAM);
    command.env("MAINSTEM_DIE_AT", point);
    Program::start_by(command, directory, &ARGUMENTS)
}

/// Starts the program; one of its system calls on the first file of the log fails, such as
/// `fdatasync:error=EIO:when=5`, as strace makes it.
pub fn start_failing(directory: &Path, failure: &str) -> Program {
    let call = failure.split(':').next().unwrap_or_default();
    let file = directory.join("data/log/00000000000000000000.segment");
    let mut command = Command::new("strace");
    // As a grandchild, so that the program itself is the child that is killed.
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-P"]);
    command.arg(file.canonicalize().expect("the log"));
    command.args(["-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={failure}"), PROGRAM]);
    Program::start_by(command, directory, &ARGUMENTS)
}

/// Waits until the program has died by itself, as by an abort.
pub async fn dies(mut program: Program) {
    let status = program.ended().await;
    // Not by an error of its own, which would have an exit code.
    assert_eq!(status.code(), None, "{}", program.log());
}
