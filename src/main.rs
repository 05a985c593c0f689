//! The `mainstem` program: everything is in the library.

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

/// The engine's workers allocate many short-lived columns; mimalloc keeps that from contending.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's number for how long freed memory is kept before the system gets it back; it is not
/// among the constants of its crate.
const PURGE_DELAY: c_int = 15;

/// Merges free memory and soon want as much again: given back after mimalloc's second, it costs a
/// load a tenth of its time in pages that the system clears anew. How much it may be is bounded
/// beside that.
const PURGE_DELAY_MS: c_long = 10_000;

fn main() -> ExitCode {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: options are read and set before there is a second thread.
        unsafe {
            // Another release of mimalloc may count its options anew.
            debug_assert_eq!(libmimalloc_sys::mi_option_get(PURGE_DELAY), 1_000);
            libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS);
        }
        mainstem::cli::watch_kept_memory(give_back);
    }
    mainstem::cli::main()
}

/// Lets the system have all freed memory now.
fn give_back() {
    // SAFETY: any thread may call it at any time, beside others that allocate.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
