//! Ctrl-C and SIGTERM: the first one asks for a clean end, the second one ends at once.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

/// The exit code of a process that was told twice to stop, as shells give it for SIGINT.
const INTERRUPTED: i32 = 130;

/// Whether the process has been asked to stop; clones see the same request.
#[derive(Clone)]
pub struct Stop {
    sender: watch::Sender<bool>,
    /// How long a clean end may take.
    patience: Option<Duration>,
}

impl Stop {
    /// Nothing has been asked yet.
    pub fn new() -> Stop {
        Stop::within(None)
    }

    /// Nothing has been asked yet; once a clean end is, it takes at most so long.
    pub fn within(patience: Option<Duration>) -> Stop {
        Stop {
            sender: watch::Sender::new(false),
            patience,
        }
    }

    /// Asks for a clean end.
    pub fn request(&self) {
        let was_asked = self.sender.send_replace(true);
        if let (false, Some(patience)) = (was_asked, self.patience) {
            end_after(patience);
        }
    }

    /// Whether a clean end has been asked for.
    pub fn is_requested(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits until a clean end is asked for.
    pub async fn requested(&self) {
        // The sender lives as long as `self`, so the wait can't fail.
        let _ = self.sender.subscribe().wait_for(|stop| *stop).await;
    }

    /// Listens to signals as long as the current tokio runtime lives.
    ///
    /// Fails if the process may not install signal handlers.
    pub fn listen(&self) -> io::Result<()> {
        let mut signals = Signals::new()?;
        let stop = self.clone();
        tokio::spawn(async move {
            signals.next().await;
            tracing::info!("stopping; press Ctrl-C again to stop at once");
            stop.request();
            signals.next().await;
            tracing::warn!("stopped at once; what was acknowledged is in the log");
            std::process::exit(INTERRUPTED);
        });
        Ok(())
    }
}

/// Ends the process if it still lives after a time.
fn end_after(patience: Duration) {
    let waiting = move || {
        std::thread::sleep(patience);
        tracing::error!(
            "the end takes longer than shutdown_timeout ({} s), so the program ends as it is; what \
             was acknowledged is in the log",
            patience.as_secs()
        );
        std::process::exit(1);
    };
    let watch = std::thread::Builder::new().name("shutdown".to_owned());
    if let Err(error) = watch.spawn(waiting) {
        tracing::warn!("nobody watches how long the end takes: {error}");
    }
}

impl Default for Stop {
    fn default() -> Self {
        Stop::new()
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_all_clones_before_and_after_they_wait() {
        let stop = Stop::new();
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.requested().await }
        });
        assert!(!stop.is_requested());
        stop.request();
        waiting.await.expect("the waiting task ends");
        stop.clone().requested().await;
        assert!(stop.is_requested());
    }
}
