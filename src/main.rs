//! The `mainstem` program: everything is in the library.

use std::process::ExitCode;

/// The engine's workers allocate many short-lived columns; mimalloc keeps that from contending.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mainstem::cli::main()
}
