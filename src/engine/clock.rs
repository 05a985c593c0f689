//! The passing of time without transactions.
//!
//! A view with a condition on `now()` changes as time passes. In live operation the committing
//! thread looks once a second whether a row's time has come and, if so, lets all views move on to
//! the time of the wall clock. An ad hoc statement that asks for the time makes it move on, too.
//! Neither is written to the log: time carries no rows, and a restart finds the wall clock ahead.
//!
//! Where history is being replayed, time is that of the transactions: while the newest one has
//! come with a timestamp of its own, the wall clock is left alone.

use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::commit::{Conductor, Request};
use super::{Engine, EngineError, Shared};

/// How often the committing thread looks whether time has something to do.
const TICK: Duration = Duration::from_secs(1);

/// When time passes without transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WallClock {
    /// Never: time is that of the transactions.
    Ignored,
    /// When a statement asks for the time.
    #[default]
    Asked,
    /// When a statement asks for the time, and when a row's time has come.
    Followed,
}

impl Engine {
    /// Says when time passes without transactions.
    pub fn set_wall_clock(&self, clock: WallClock) {
        let setting = &self.shared.wall_clock;
        *setting.lock().unwrap_or_else(PoisonError::into_inner) = clock;
        // A thread that has ended has no time to follow.
        let _ = self.shared.requests.send(Request::Wake);
    }
}

/// The wall clock, in milliseconds since the epoch.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

fn setting(shared: &Weak<Shared>) -> WallClock {
    let clock = |shared: Arc<Shared>| {
        let setting = shared.wall_clock.lock();
        *setting.unwrap_or_else(PoisonError::into_inner)
    };
    shared.upgrade().map_or(WallClock::Ignored, clock)
}

impl Conductor {
    /// How long to wait until time may have something to do; `None`: for ever.
    pub(super) fn tick_in(shared: &Weak<Shared>) -> Option<Duration> {
        (setting(shared) == WallClock::Followed).then_some(TICK)
    }

    /// Lets all views move on if the time of some row has come.
    pub(super) fn tick_if_due(&mut self, shared: &Weak<Shared>) {
        if setting(shared) != WallClock::Followed {
            return;
        }
        let progress = Arc::clone(self.workers.progress());
        // A tick that is still being worked on has not said yet when the next one is due.
        let is_settled = progress.completed() >= self.last_timestamp_ms;
        let is_due = progress.next_change().is_some_and(|due| due <= now_ms());
        if is_settled && is_due {
            // A failure of the workers is told to whoever writes or reads next.
            let _ = self.pass_time(shared);
        }
    }

    /// Lets all views move on to the wall clock, unless it is to be left alone; returns the
    /// timestamp (ms) they move to.
    pub(super) fn pass_time(&mut self, shared: &Weak<Shared>) -> Result<u64, EngineError> {
        self.check_log()?;
        let now_ms = now_ms();
        let is_ignored = self.replays_history || setting(shared) == WallClock::Ignored;
        if !is_ignored && now_ms > self.last_timestamp_ms {
            self.last_timestamp_ms = now_ms;
            self.announce(now_ms)?;
        }
        Ok(self.last_timestamp_ms)
    }
}
