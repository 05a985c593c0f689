//! The machine and the process: what figures depend on beside the code. Only Linux tells.

use std::fs;

use serde::{Deserialize, Serialize};

/// Where figures were taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory of the machine in bytes.
    pub memory_bytes: u64,
    /// Operating system and architecture.
    pub system: String,
    /// Whether the program was built with optimisation.
    pub is_optimised: bool,
}

impl Machine {
    /// This machine.
    pub fn here() -> Machine {
        Machine {
            processor: processor().unwrap_or_else(|| "unknown processor".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kilobytes("/proc/meminfo", "MemTotal:").unwrap_or(0),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            is_optimised: !cfg!(debug_assertions),
        }
    }
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The resident memory of this process in bytes; 0 where the system does not tell.
pub fn resident_bytes() -> u64 {
    kilobytes("/proc/self/status", "VmRSS:").unwrap_or(0)
}

/// The most resident memory this process has had, in bytes, since its start or [`forget_peak`];
/// only Linux tells.
pub fn peak_memory_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM:")
}

/// Starts the measurement of [`peak_memory_bytes`] anew.
pub fn forget_peak() {
    // Where this is not allowed, the peak is that of the whole process: an upper bound.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Processor time of this process in seconds, all threads together; 0 where the system does not
/// tell. The clock ticks a hundred times a second.
pub fn processor_seconds() -> f64 {
    let ticks = || {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        // Behind the program's name, which may contain anything: state is the first field.
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        let user: f64 = fields.next()?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        Some(user + system)
    };
    ticks().unwrap_or(0.0) / 100.0
}

fn kilobytes(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let number: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(number * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_memory_where_the_system_tells() {
        assert!(peak_memory_bytes().is_none_or(|bytes| bytes > 0));
    }
}
