//! How much memory the machine, or the group of processes this one is confined to, has.

use std::fs;

/// Taken where the machine does not tell: 4 GiB.
const UNKNOWN: u64 = 4 << 30;

/// The memory that there is, in bytes. Linux alone tells.
pub fn memory_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total_of);
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min().unwrap_or(UNKNOWN)
}

fn total_of(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_in_bytes() {
        let text = "MemTotal:       16316412 kB\nMemFree:         1 kB\n";
        assert_eq!(total_of(text), Some(16_316_412 * 1024));
        assert_eq!(total_of("MemFree: 1 kB"), None);
        assert!(memory_bytes() > 0);
    }
}
