//! What a run did, told at the end of its input.

use std::fmt;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

use super::progress::rows_per_second;

/// What was read from one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceSummary {
    /// The source's name.
    pub name: String,
    /// Rows handed to the engine, without the rejected ones.
    pub rows: u64,
    /// Rows that did not map and are in `rejected_events`.
    pub rejected: u64,
    /// Submissions, each of which became at most one transaction.
    pub transactions: u64,
    /// Why it ended before its end, if it did.
    pub failure: Option<String>,
}

/// What a whole run did.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The sources in the order of the settings.
    pub sources: Vec<SourceSummary>,
    /// From the first row read to the moment all views were complete.
    pub elapsed: Duration,
    /// The most memory the process has had, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.sources.iter().map(|s| s.name.len()).max().unwrap_or(0);
        for source in &self.sources {
            write!(
                f,
                "{:width$}  {} rows, {} rejected, {} transactions",
                source.name,
                HumanCount(source.rows),
                HumanCount(source.rejected),
                HumanCount(source.transactions),
            )?;
            match &source.failure {
                Some(failure) => writeln!(f, ", ended early: {failure}")?,
                None => writeln!(f)?,
            }
        }
        let rows = self.sources.iter().map(|s| s.rows + s.rejected).sum();
        let seconds = self.elapsed.as_secs_f64();
        write!(
            f,
            "{} rows in {seconds:.2} s ({} rows/s)",
            HumanCount(rows),
            HumanCount(rows_per_second(rows, seconds) as u64),
        )?;
        match self.peak_memory_bytes {
            Some(bytes) => write!(f, ", peak memory {}", HumanBytes(bytes)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_a_line_and_the_whole_has_one() {
        let summary = Summary {
            sources: vec![
                SourceSummary {
                    name: "shop".into(),
                    rows: 1_500,
                    rejected: 2,
                    transactions: 3,
                    failure: None,
                },
                SourceSummary {
                    name: "p".into(),
                    failure: Some("disk gone".into()),
                    ..SourceSummary::default()
                },
            ],
            elapsed: Duration::from_secs(2),
            peak_memory_bytes: Some(3 << 20),
        };
        assert_eq!(
            summary.to_string(),
            "shop  1,500 rows, 2 rejected, 3 transactions\n\
             p     0 rows, 0 rejected, 0 transactions, ended early: disk gone\n\
             1,502 rows in 2.00 s (751 rows/s), peak memory 3.00 MiB"
        );
    }
}
