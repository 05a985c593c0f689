//! Programs and data that a test needs and a machine may not have.

use std::path::PathBuf;
use std::process::Command;

/// Set where everything must be there, as in continuous integration: a test then fails instead of
/// being skipped.
const REQUIRED: &str = "MAINSTEM_REQUIRE_TOOLS";

/// Whether a program can be run with these arguments; tells loudly if a test is skipped.
pub fn has_program(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    let runs = output.is_ok_and(|output| output.status.success());
    runs || skip(&format!("`{program} {}` does not run", arguments.join(" ")))
}

/// A directory of real data, below `MAINSTEM_SHARED_DATA` or `../shared/data`.
///
/// It is not part of the repository; fixtures/README.md says where the data comes from.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let root = std::env::var_os("MAINSTEM_SHARED_DATA").map_or(beside, PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    // Data with a licence of its own is not fetched by continuous integration.
    eprintln!("SKIPPED: there is no {}", path.display());
    None
}

fn skip(reason: &str) -> bool {
    assert!(
        std::env::var_os(REQUIRED).is_none(),
        "{REQUIRED} is set, but {reason}"
    );
    eprintln!("SKIPPED: {reason}");
    false
}
