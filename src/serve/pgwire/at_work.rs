//! How many clients are being answered, so that the end of the program can wait for their answers.

use tokio::sync::watch;

/// Connections with a statement at work; clones count the same ones.
#[derive(Clone, Debug, Default)]
pub struct AtWork {
    connections: watch::Sender<usize>,
}

/// Counts a connection until it is dropped.
pub(super) struct Turn {
    connections: watch::Sender<usize>,
}

impl AtWork {
    /// From the first message of a statement until its answer has been sent.
    pub(super) fn begin(&self) -> Turn {
        self.connections.send_modify(|count| *count += 1);
        Turn {
            connections: self.connections.clone(),
        }
    }

    /// Waits until no statement is at work.
    pub async fn until_none(&self) {
        let mut connections = self.connections.subscribe();
        // The sender lives as long as `self`, so the wait can't fail.
        let _ = connections.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.connections.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn the_end_waits_for_the_last_statement() {
        let at_work = AtWork::default();
        assert_eq!(at_work.until_none().now_or_never(), Some(()));
        let (first, second) = (at_work.begin(), at_work.clone().begin());
        drop(first);
        assert_eq!(at_work.until_none().now_or_never(), None);
        drop(second);
        assert_eq!(at_work.until_none().now_or_never(), Some(()));
    }
}
