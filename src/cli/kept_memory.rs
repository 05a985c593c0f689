//! Freed memory that the allocator keeps, bounded by its amount.
//!
//! Merges free memory and soon want as much again, so that the allocator keeps what is freed for
//! some seconds. While a large state is being loaded that adds up to more than the state itself.
//! The watcher here has it given back once the process has grown by a quarter: memory is then
//! cleared anew by the system a few times in the course of a load, and not with every merge.

use std::time::Duration;

use crate::bench::resident_bytes;

/// The part of what was needed by which the process may grow before freed memory is given back.
const GROWTH_SHARE: u64 = 4;

/// Bytes by which it may grow in addition: what a small process does is not worth a look.
const GROWTH_BYTES: u64 = 16 << 20;

/// Growth in bytes from one look to the next that makes the next one come soon.
const NOTABLE_BYTES: u64 = 1 << 20;

/// Between two looks, while the process grows and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(160));

/// Calls `give_back`, which lets the system have freed memory, on a thread of its own whenever the
/// process has grown much. Does nothing where the system does not tell how large it is.
pub fn watch(give_back: fn()) {
    let watcher = std::thread::Builder::new().name("memory".to_owned());
    // Without the thread, freed memory is kept for as long as the allocator keeps it.
    let _ = watcher.spawn(move || watch_on(give_back));
}

fn watch_on(give_back: fn()) {
    let Some(bytes) = told_bytes() else {
        return;
    };
    let mut watcher = Watcher::of(bytes);
    loop {
        std::thread::sleep(watcher.pause);
        watcher.look(told_bytes, give_back);
    }
}

/// How large the process is, if the system tells.
fn told_bytes() -> Option<u64> {
    Some(resident_bytes()).filter(|bytes| *bytes > 0)
}

/// What has been seen of a process that is looked at again and again.
struct Watcher {
    kept: Kept,
    /// How large the process was at the last look.
    before_bytes: u64,
    /// Until the next look.
    pause: Duration,
}

impl Watcher {
    /// Of a process of so many bytes.
    fn of(bytes: u64) -> Watcher {
        Watcher {
            kept: Kept {
                needed_bytes: bytes,
            },
            before_bytes: bytes,
            pause: PAUSES.0,
        }
    }

    /// Looks once. What is not told, as while the process may open no more files, is left to the
    /// next look.
    fn look(&mut self, told_bytes: impl Fn() -> Option<u64>, give_back: impl Fn()) {
        let Some(bytes) = told_bytes() else {
            return;
        };
        let (shortest, longest) = PAUSES;
        self.pause = match bytes > self.before_bytes + NOTABLE_BYTES {
            true => shortest,
            false => (2 * self.pause).min(longest),
        };
        self.before_bytes = bytes;
        if self.kept.is_too_much(bytes) {
            give_back();
            if let Some(bytes) = told_bytes() {
                self.kept.needed_bytes = bytes;
                self.before_bytes = bytes;
            }
        }
    }
}

/// Tells how much of the process may be freed memory.
struct Kept {
    /// The least there was since freed memory was last given back.
    needed_bytes: u64,
}

impl Kept {
    /// Whether a process of so many bytes has grown enough to look for what is freed in it.
    fn is_too_much(&mut self, bytes: u64) -> bool {
        self.needed_bytes = self.needed_bytes.min(bytes);
        bytes > self.needed_bytes + self.needed_bytes / GROWTH_SHARE + GROWTH_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_process_may_grow_by_a_quarter_of_the_least_it_was() {
        let mut kept = Kept {
            needed_bytes: 400 * MIB,
        };
        assert!(!kept.is_too_much(516 * MIB));
        assert!(kept.is_too_much(517 * MIB));
        assert!(!kept.is_too_much(200 * MIB));
        assert!(!kept.is_too_much(266 * MIB));
        assert!(kept.is_too_much(267 * MIB));
    }

    #[test]
    fn a_look_at_which_nothing_is_told_changes_nothing() {
        let mut watcher = Watcher::of(400 * MIB);
        watcher.look(|| None, || panic!("nothing has grown"));
        assert_eq!(watcher.pause, PAUSES.0);
        watcher.look(|| Some(516 * MIB), || panic!("it has not grown enough"));
        let times = Cell::new(0);
        // Told before memory is given back, and not after.
        let told = || (times.get() == 0).then_some(517 * MIB);
        watcher.look(told, || times.set(times.get() + 1));
        assert_eq!(times.get(), 1);
        watcher.look(|| Some(430 * MIB), || panic!("it is small again"));
        watcher.look(|| Some(517 * MIB), || times.set(times.get() + 1));
        assert_eq!(times.get(), 2);
    }

    #[test]
    fn a_load_gives_memory_back_a_few_times_only() {
        let mut kept = Kept {
            needed_bytes: 10 * MIB,
        };
        let (mut live, mut freed, mut times) = (10 * MIB, 0, 0);
        while live < 1_000 * MIB {
            // Half of what is taken is soon freed.
            live += MIB;
            freed += MIB;
            if kept.is_too_much(live + freed) {
                (freed, times) = (0, times + 1);
                kept.needed_bytes = live;
            }
            assert!(live + freed <= live + live / GROWTH_SHARE + GROWTH_BYTES);
        }
        assert!((5..60).contains(&times), "{times} times");
    }
}
