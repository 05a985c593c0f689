//! The program as a test runs it, and programs and data that a machine may not have.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Set where everything must be there, as in continuous integration: a test then fails instead of
/// being skipped.
const REQUIRED: &str = "MAINSTEM_REQUIRE_TOOLS";

/// How long a test waits before it says that something hangs: many times as long as anything takes
/// on a slow machine that has other things to do, too.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until something is as it must become; it tells how it is not yet.
pub fn eventually<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let waiting = Waiting::begin();
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(problem) => waiting.check(&problem),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits with the patience of all tests.
pub struct Waiting(Instant);

impl Waiting {
    /// From now on.
    pub fn begin() -> Waiting {
        Waiting(Instant::now())
    }

    /// Fails once nobody waits any longer.
    pub fn check(&self, problem: &str) {
        assert!(self.0.elapsed() < PATIENCE, "it hangs: {problem}");
    }
}

/// Ports below those that systems give to whoever connects, or listens at any port.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// An address for a program that is to listen at it. Nobody listens there yet, and no other test
/// gets the same one.
pub fn free_address() -> SocketAddr {
    static HANDED_OUT: AtomicU16 = AtomicU16::new(0);
    // Other runs of the tests at the same time begin somewhere else.
    let first = std::process::id().wrapping_mul(521);
    for _ in PORTS {
        let number = first.wrapping_add(u32::from(HANDED_OUT.fetch_add(1, Relaxed)));
        let port = u32::from(PORTS.start) + number % PORTS.len() as u32;
        let port = u16::try_from(port).expect("a port");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("all ports are taken");
}

/// Runs the program in a directory, without services unless the arguments say otherwise.
pub fn mainstem(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mainstem"))
        .args(arguments)
        .current_dir(directory)
        .env("MAINSTEM_SERVE_PGWIRE", "off")
        .env("MAINSTEM_SERVE_HTTP", "off")
        .output()
        .expect("mainstem starts")
}

/// The same, where it must end well.
pub fn mainstem_succeeds(directory: &Path, arguments: &[&str]) -> Output {
    let output = mainstem(directory, arguments);
    assert!(
        output.status.success(),
        "mainstem {}: {}\n{}",
        arguments.join(" "),
        output.status,
        text_of(&output)
    );
    output
}

/// What a program has printed, on both streams.
pub fn text_of(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).expect("UTF-8")
}

/// The answer of a stopped engine in `mainstem-data` as CSV.
pub fn ask(directory: &Path, sql: &str) -> String {
    let arguments = ["sql", "--data-dir", "mainstem-data", "--format", "csv", sql];
    let answer = mainstem_succeeds(directory, &arguments);
    String::from_utf8(answer.stdout).expect("UTF-8")
}

/// The whole answer to a GET over HTTP.
pub fn http_get(address: SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(address).expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    answer
}

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
