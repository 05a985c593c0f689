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
    let (shortest, longest) = PAUSES;
    let mut kept = Kept {
        needed_bytes: resident_bytes(),
    };
    let mut pause = shortest;
    let mut before_bytes = kept.needed_bytes;
    while before_bytes > 0 {
        std::thread::sleep(pause);
        let mut bytes = resident_bytes();
        pause = match bytes > before_bytes + NOTABLE_BYTES {
            true => shortest,
            false => (2 * pause).min(longest),
        };
        if kept.is_too_much(bytes) {
            give_back();
            bytes = resident_bytes();
            kept.needed_bytes = bytes;
        }
        before_bytes = bytes;
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
