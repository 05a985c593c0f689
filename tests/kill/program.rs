//! The program as a child process that is killed or dies by itself.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::tools::Waiting;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mainstem");

/// The program as a child process; killed when dropped.
pub struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts the program on a data directory; it may not be ready yet.
    pub fn start(directory: &Path) -> Program {
        Program::run(directory, Command::new(PROGRAM))
    }

    /// Starts the program, which dies at a point of its writing: see `FatalPoint`.
    pub fn start_dying(directory: &Path, point: &str) -> Program {
        let mut command = Command::new(PROGRAM);
        command.env("MAINSTEM_DIE_AT", point);
        Program::run(directory, command)
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
        Program::run(directory, command)
    }

    fn run(directory: &Path, mut command: Command) -> Program {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let log = std::fs::File::create(directory.join("log.txt")).expect("a file");
        let child = command
            .args(["run", "--data-dir", "data", "--workers", "2"])
            .args([
                "--serve-pgwire",
                &address.to_string(),
                "--serve-http",
                "off",
            ])
            .args(["--checkpoint-every", "1s", "--log-retain", "1s"])
            .args(["--log-segment", "1 MiB"])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mainstem starts");
        Program { child, address }
    }

    /// Connects as soon as the program serves.
    pub async fn connect(&mut self, directory: &Path) -> Client {
        let client = self.connect_or_end(directory).await;
        client.unwrap_or_else(|| panic!("it ended: {}", log_of(directory)))
    }

    /// Connects as soon as the program serves; `None` if it ends before.
    pub async fn connect_or_end(&mut self, directory: &Path) -> Option<Client> {
        let waiting = Waiting::begin();
        let settings = format!(
            "host={} port={} user=loader dbname=any",
            self.address.ip(),
            self.address.port()
        );
        while self.child.try_wait().expect("its state").is_none() {
            if let Ok((client, connection)) = tokio_postgres::connect(&settings, NoTls).await {
                tokio::spawn(connection);
                return Some(client);
            }
            waiting.check(&format!("it does not serve: {}", log_of(directory)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    async fn ended(&mut self) -> ExitStatus {
        let waiting = Waiting::begin();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            waiting.check("it lives");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the program has ended with a failure that it tells.
    pub async fn fails(mut self, directory: &Path, reason: &str) {
        let status = self.ended().await;
        let log = log_of(directory);
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(reason), "{log}");
    }

    /// Waits until the program has died by itself, as by an abort.
    pub async fn dies(mut self, directory: &Path) {
        let status = self.ended().await;
        // Not by an error of its own, which would have an exit code.
        assert_eq!(status.code(), None, "{}", log_of(directory));
    }

    /// SIGKILL: nothing of the program runs after it.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(directory: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(directory.join("log.txt"));
    if let Ok(mut file) = file {
        let _ = file.read_to_string(&mut text);
    }
    text
}
