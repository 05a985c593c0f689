//! The program as a child process that serves, and that is killed, told to end, or ends by itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::tools::{Waiting, free_address};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mainstem");

/// How long between two looks at what the program does.
const PAUSE: Duration = Duration::from_millis(5);

/// The program as a child process; killed when dropped.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
}

impl Program {
    /// Starts the program in a directory; it may not be ready yet.
    pub fn start(directory: &Path, arguments: &[&str]) -> Program {
        Program::start_by(Command::new(PROGRAM), directory, arguments)
    }

    /// Starts the program by a command that lacks its arguments only: with variables, or through
    /// another program that becomes it.
    pub fn start_by(mut command: Command, directory: &Path, arguments: &[&str]) -> Program {
        let address = free_address();
        let log = directory.join("log.txt");
        let file = std::fs::File::create(&log).expect("a file");
        let child = command
            .args(["run", "--workers", "2", "--serve-http", "off"])
            .args(["--serve-pgwire", &address.to_string()])
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("mainstem starts");
        Program {
            child,
            address,
            log,
        }
    }

    /// Connects as soon as the program serves.
    pub async fn connect(&mut self) -> Client {
        let client = self.connect_or_end().await;
        client.unwrap_or_else(|| panic!("it ended: {}", self.log()))
    }

    /// Connects as soon as the program serves; `None` if it ends before.
    pub async fn connect_or_end(&mut self) -> Option<Client> {
        let waiting = Waiting::begin();
        let (host, port) = (self.address.ip(), self.address.port());
        let settings = format!("host={host} port={port} user=any dbname=any");
        while self.is_alive() {
            if let Ok((client, connection)) = tokio_postgres::connect(&settings, NoTls).await {
                tokio::spawn(connection);
                return Some(client);
            }
            waiting.check(&format!("it does not serve: {}", self.log()));
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM, as whatever runs services sends it.
    pub fn terminate(&self) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("kill starts").success());
    }

    /// Waits until the program has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let waiting = Waiting::begin();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            waiting.check(&format!("it lives: {}", self.log()));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the program has ended with a failure that it tells.
    pub async fn fails(&mut self, reason: &str) {
        let status = self.ended().await;
        let log = self.log();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(reason), "{log}");
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
