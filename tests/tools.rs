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

/// A directory of real data, named by the variable MAINSTEM_SHARED_DATA.
///
/// It is not part of the repository; fixtures/README.md says where the data comes from.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MAINSTEM_SHARED_DATA");
    let path = root.map(|root| PathBuf::from(root).join(name));
    match path {
        Some(path) if path.exists() => Some(path),
        _ => {
            // Data with a licence of its own is not fetched by continuous integration.
            eprintln!("SKIPPED: MAINSTEM_SHARED_DATA does not lead to {name}");
            None
        }
    }
}

fn skip(reason: &str) -> bool {
    assert!(
        std::env::var_os(REQUIRED).is_none(),
        "{REQUIRED} is set, but {reason}"
    );
    eprintln!("SKIPPED: {reason}");
    false
}
