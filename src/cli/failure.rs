//! How a command fails: a line that says what, a line that says what to do.

use std::fmt;

use crate::config::{ConfigError, Problem};
use crate::engine::EngineError;
use crate::engine::backup::BackupError;
use crate::serve::named_query::NamedQueryError;
use crate::serve::pgwire::in_process::CopyError;
use crate::snapshot::SnapshotError;
use crate::source::SourceError;
use crate::sql::SqlError;

/// Why a command ends with exit code 1.
#[derive(Debug)]
pub struct Failure {
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    what: String,
    hint: String,
}

impl Failure {
    /// A failure with one line of what happened and one of what to do; the latter may be empty.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure {
            messages: vec![Message {
                what: what.into(),
                hint: hint.into(),
            }],
        }
    }

    /// Adds the messages of another failure.
    pub fn and(mut self, other: Failure) -> Failure {
        self.messages.extend(other.messages);
        self
    }

    /// `failure`, if there is one yet, followed by `other`.
    pub fn joined(failure: Option<Failure>, other: Failure) -> Failure {
        match failure {
            Some(failure) => failure.and(other),
            None => other,
        }
    }

    /// Says on which input it happened, in front of each message.
    pub fn at(mut self, place: impl fmt::Display) -> Failure {
        for message in &mut self.messages {
            message.what = format!("{place}: {}", message.what);
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, message) in self.messages.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "error: {}", message.what)?;
            if !message.hint.is_empty() {
                write!(f, "\n  {}", message.hint)?;
            }
        }
        Ok(())
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        let messages = problems
            .into_iter()
            .map(|problem| Message {
                what: format!("{}: {}", problem.place, problem.what),
                hint: problem.hint,
            })
            .collect();
        Failure { messages }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        error.problems.into()
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Failure::new(error.to_string(), error.hint.unwrap_or_default())
    }
}

impl From<NamedQueryError> for Failure {
    fn from(error: NamedQueryError) -> Self {
        Failure::new(error.to_string(), "")
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        let what = error.to_string();
        match error {
            CopyError::Refused { hint, .. } => Failure::new(what, hint),
            CopyError::Output(_) => Failure::new(what, "check where they go"),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Failure::new(error.to_string(), "")
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        Failure::new(error.to_string(), "")
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Failure::new(error.to_string(), "")
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Failure::new(error.to_string(), error.hint().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_a_line_of_what_and_a_line_of_what_to_do() {
        let failure = Failure::new("no disk", "buy one").and(Failure::new("no cake", "").at("tea"));
        assert_eq!(
            failure.to_string(),
            "error: no disk\n  buy one\nerror: tea: no cake"
        );
    }
}
