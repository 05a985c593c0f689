//! What is wrong with the settings, in words for the person who wrote them.
//!
//! A check of the settings goes on after a problem, so that one run shows all of them; an error
//! therefore carries a list, which is never empty.

use std::fmt;

/// One thing wrong, where it stands and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `mainstem.toml:12`, a flag or an environment variable.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

impl Problem {
    /// A problem at `place`.
    pub fn new(
        place: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        Problem {
            place: place.into(),
            what: what.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  {}", self.place, self.what, self.hint)
    }
}

/// All problems found in the settings; at least one.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    /// The problems, in the order they were found.
    pub problems: Vec<Problem>,
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        ConfigError {
            problems: vec![problem],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// The candidate that `word` was most likely meant to be, if any is close.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(similarity, candidate)| is_close(word, candidate, *similarity))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// Similarity judges long words well (`retention`, `retain`); in short ones a single slip
/// (`cvs`, `csv`) weighs too much for it, so slips are counted too.
fn is_close(word: &str, candidate: &str, similarity: f64) -> bool {
    const SIMILAR: f64 = 0.8;
    let slips_allowed = (word.chars().count() / 3).max(1);
    similarity >= SIMILAR || strsim::osa_distance(word, candidate) <= slips_allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_the_word_and_nonsense_finds_none() {
        assert_eq!(closest("wrokers", ["workers", "queries"]), Some("workers"));
        assert_eq!(closest("cvs", ["ndjson", "csv"]), Some("csv"));
        assert_eq!(closest("retention", ["dir", "retain"]), Some("retain"));
        assert_eq!(closest("zebra", ["workers", "queries"]), None);
    }
}
