//! Looks at a data directory without changing it: what is there, what is wrong, what to do.

use std::path::{Path, PathBuf};

use super::LOG_DIRECTORY;
use super::checkpoint::{self, CHECKPOINT_DIRECTORY, Head};
use crate::log::fs::FileSystem;
use crate::log::{self, DirectoryLock, LogError, LogReport};
use crate::snapshot::{self, Moment};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or directory.
    pub path: PathBuf,
    /// What is there, in words.
    pub what: String,
    /// What to do, if something is wrong.
    pub remedy: Option<String>,
}

impl Finding {
    fn good(path: &Path, what: impl Into<String>) -> Finding {
        Finding {
            path: path.to_path_buf(),
            what: what.into(),
            remedy: None,
        }
    }

    fn bad(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            remedy: Some(remedy.into()),
            ..Finding::good(path, what)
        }
    }
}

/// Reads every byte of the log and of the checkpoints of a data directory and says what was found,
/// and whether an engine can start from it. The engine may be running.
pub fn examine(file_system: &dyn FileSystem, data_dir: &Path) -> Vec<Finding> {
    examine_with(file_system, data_dir, Vec::new())
}

/// As [`examine`], with the snapshots below `snapshot_dir`: every byte of them, and whether the log
/// has the transactions that they name.
pub fn examine_with_snapshots(
    file_system: &dyn FileSystem,
    data_dir: &Path,
    snapshot_dir: &Path,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Before the log: what a running engine adds to it meanwhile is in none of them.
    let claims = examine_snapshots(file_system, snapshot_dir, &mut findings);
    let mut all = examine_with(file_system, data_dir, claims);
    all.append(&mut findings);
    all
}

fn examine_with(
    file_system: &dyn FileSystem,
    data_dir: &Path,
    mut claims: Vec<Claim>,
) -> Vec<Finding> {
    let mut findings = vec![examine_lock(file_system, data_dir)];
    let heads = examine_checkpoints(file_system, data_dir, &mut findings);
    let directory = data_dir.join(LOG_DIRECTORY);
    let newest = heads.iter().map(|head| head.offset).max().unwrap_or(0);
    let mut observer = |offset, timestamp_ms| {
        for claim in &mut claims {
            claim.compare(offset, timestamp_ms);
        }
    };
    match log::verify_each(file_system, &directory, newest, &mut observer) {
        Ok(report) => {
            findings.push(log_finding(&directory, &report));
            findings.push(start_finding(data_dir, &report, newest));
            findings.extend(claims.iter().filter_map(|claim| claim.finding(&report)));
        }
        Err(error) => findings.push(bad_log(&directory, &error)),
    }
    findings
}

fn examine_lock(file_system: &dyn FileSystem, data_dir: &Path) -> Finding {
    match DirectoryLock::acquire(file_system, data_dir) {
        Ok(_) => Finding::good(data_dir, "no engine is running"),
        Err(LogError::InUse { .. }) => Finding::good(
            data_dir,
            "an engine is running; what it writes meanwhile is not looked at",
        ),
        Err(error) => Finding::bad(
            data_dir,
            error.to_string(),
            "check the permissions of the directory",
        ),
    }
}

fn examine_checkpoints(
    file_system: &dyn FileSystem,
    data_dir: &Path,
    findings: &mut Vec<Finding>,
) -> Vec<Head> {
    let directory = data_dir.join(CHECKPOINT_DIRECTORY);
    let files = match checkpoint::list(file_system, &directory) {
        Ok(files) => files,
        Err(error) => {
            let remedy = "check the permissions of the directory";
            findings.push(Finding::bad(&directory, error.to_string(), remedy));
            return Vec::new();
        }
    };
    if files.is_empty() {
        findings.push(Finding::good(&directory, "there are no checkpoints"));
    }
    let mut heads = Vec::new();
    for file in files {
        match checkpoint::verify(file_system, &file.path) {
            Ok(head) => {
                let what = format!(
                    "a whole checkpoint up to transaction {}, {} tables, timestamp {} ms",
                    head.offset,
                    head.tables.len(),
                    head.timestamp_ms
                );
                findings.push(Finding::good(&file.path, what));
                heads.push(head);
            }
            // A running engine may have removed it for a newer one.
            Err(_) if file_system.exists(&file.path).is_ok_and(|exists| !exists) => {}
            Err(error) => findings.push(Finding::bad(
                &file.path,
                error.to_string(),
                "the next start passes it over, and the next checkpoint replaces it; check the \
                 disk it was on",
            )),
        }
    }
    heads
}

/// What a snapshot says about the log.
struct Claim {
    path: PathBuf,
    timestamp_ms: u64,
    next_offset: u64,
    /// The first transaction that contradicts it.
    contradicted_by: Option<u64>,
}

impl Claim {
    fn of(path: &Path, moment: Moment) -> Option<Claim> {
        Some(Claim {
            path: path.to_path_buf(),
            timestamp_ms: moment.timestamp_ms,
            next_offset: moment.log?.next_offset,
            contradicted_by: None,
        })
    }

    /// A snapshot has exactly the transactions up to its timestamp.
    fn compare(&mut self, offset: u64, timestamp_ms: u64) {
        let is_in_it = offset < self.next_offset;
        if is_in_it != (timestamp_ms <= self.timestamp_ms) {
            self.contradicted_by.get_or_insert(offset);
        }
    }

    fn finding(&self, report: &LogReport) -> Option<Finding> {
        let what = match self.contradicted_by {
            Some(offset) => {
                format!("what it says about transaction {offset} is not what the log says")
            }
            None if self.next_offset > report.next_offset => format!(
                "it holds the transactions up to {}, the log ends at {}",
                self.next_offset, report.next_offset
            ),
            None => return None,
        };
        let remedy = "it is of another history, such as that from before a restore: remove it, or \
                      write snapshots to another directory";
        Some(Finding::bad(&self.path, what, remedy))
    }
}

/// Verifies all snapshots; what those that are whole say about the log.
fn examine_snapshots(
    file_system: &dyn FileSystem,
    directory: &Path,
    findings: &mut Vec<Finding>,
) -> Vec<Claim> {
    let entries = match snapshot::list(file_system, directory) {
        Ok(entries) => entries,
        Err(error) => {
            let remedy = "check the permissions of the directory";
            findings.push(Finding::bad(directory, error.to_string(), remedy));
            return Vec::new();
        }
    };
    let mut claims = Vec::new();
    for entry in entries {
        match snapshot::verify(file_system, &entry.path) {
            Ok(manifest) => {
                let mut what = format!("a whole snapshot of {} rows", manifest.rows);
                if let Some(log) = manifest.log {
                    what += &format!(" from the transactions before {}", log.next_offset);
                }
                findings.push(Finding::good(&entry.path, what));
                claims.extend(Claim::of(&entry.path, manifest.moment()));
            }
            // A running engine may have removed it for a newer one.
            Err(_) if file_system.exists(&entry.path).is_ok_and(|exists| !exists) => {}
            Err(error) => {
                let remedy = "remove it and write a new one with `mainstem snapshot`";
                findings.push(Finding::bad(&entry.path, error.to_string(), remedy));
            }
        }
    }
    claims
}

fn log_finding(directory: &Path, report: &LogReport) -> Finding {
    let bytes: u64 = report.segments.iter().map(|segment| segment.bytes).sum();
    let mut what = format!(
        "a whole log of transactions {} to {} in {} segments, {bytes} bytes",
        report.first_offset,
        report.next_offset,
        report.segments.len()
    );
    if report.unfinished_bytes > 0 {
        what += &format!(
            "; the last {} bytes are unfinished, which the next start cuts off",
            report.unfinished_bytes
        );
    }
    Finding::good(directory, what)
}

fn bad_log(directory: &Path, error: &LogError) -> Finding {
    Finding::bad(
        directory,
        error.to_string(),
        "don't start the engine here; restore the newest backup with `mainstem restore`, and keep \
         this directory: its checkpoints may be newer",
    )
}

/// Whether what the log no longer has is in a checkpoint, and what checkpoints promise in the log.
fn start_finding(data_dir: &Path, report: &LogReport, newest: u64) -> Finding {
    if newest > report.next_offset {
        let what = format!(
            "a checkpoint contains transactions up to {newest}, the log ends at {}",
            report.next_offset
        );
        let remedy = "restore the missing segments of the log, or the newest backup";
        return Finding::bad(data_dir, what, remedy);
    }
    if newest < report.first_offset {
        let what = format!(
            "the log begins with transaction {}, and no whole checkpoint contains what was before",
            report.first_offset
        );
        return Finding::bad(data_dir, what, "restore the newest backup");
    }
    let replayed = report.next_offset - newest;
    Finding::good(
        data_dir,
        format!("an engine can start: it replays {replayed} transactions"),
    )
}
