//! The settings of a session: those that change something, and those that drivers ask for.

use std::sync::Arc;
use std::time::Duration;

use crate::sql::SqlError;
use crate::sql::statement::duration;
use crate::sql::system;

/// Settings with the values that all sessions begin with.
const DEFAULTS: &[(&str, &str)] = &[
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, YMD"),
    ("default_table_access_method", "columns"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("extra_float_digits", "1"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("lc_messages", "C"),
    ("max_identifier_length", "63"),
    ("search_path", "public"),
    ("server_encoding", "UTF8"),
    ("server_version", "16.6"),
    ("server_version_num", "160006"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "off"),
];

/// The settings as they are, those that the client has changed among them.
pub(super) struct Settings {
    values: Arc<system::Settings>,
    statement_timeout: Option<Duration>,
    /// What the transaction block has set for itself, with the values before.
    local: Vec<(String, Option<String>)>,
}

impl Default for Settings {
    fn default() -> Self {
        let defaults = DEFAULTS.iter();
        let defaults = defaults.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings {
            values: Arc::new(defaults.collect()),
            statement_timeout: None,
            local: Vec::new(),
        }
    }
}

fn default_of(name: &str) -> Option<&'static str> {
    let mut defaults = DEFAULTS.iter();
    let default = defaults.find(|(other, _)| *other == name);
    default.map(|(_, value)| *value)
}

impl Settings {
    /// Changes a setting; `None`: back to its default. Names that nobody knows are kept, as
    /// drivers set many.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), SqlError> {
        let Some(value) = value.or_else(|| default_of(name)) else {
            Arc::make_mut(&mut self.values).remove(name);
            return Ok(());
        };
        if self.values.get(name).is_some_and(|known| known == value) {
            return Ok(());
        }
        check(name, value)?;
        if name == "statement_timeout" {
            let timeout = duration(value)?;
            self.statement_timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        }
        Arc::make_mut(&mut self.values).insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Changes a setting until the end of the transaction block.
    pub(super) fn set_local(&mut self, name: &str, value: Option<&str>) -> Result<(), SqlError> {
        let before = self.values.get(name).cloned();
        self.set(name, value)?;
        self.local.push((name.to_owned(), before));
        Ok(())
    }

    /// The end of a transaction block: what it has set for itself is as it was.
    pub(super) fn end_block(&mut self) {
        for (name, before) in std::mem::take(&mut self.local).into_iter().rev() {
            // It has been such a value before.
            let _ = self.set(&name, before.as_deref());
        }
    }

    /// All settings back to their defaults.
    pub(super) fn reset(&mut self) {
        *self = Settings::default();
    }

    /// The value of a setting.
    pub(super) fn get(&self, name: &str) -> Result<String, SqlError> {
        self.values.get(name).cloned().ok_or_else(|| {
            SqlError::new("42704", format!("there is no setting called \"{name}\""))
                .with_hint("SHOW ALL lists the settings")
        })
    }

    /// All settings with their values.
    pub(super) fn all(&self) -> Arc<system::Settings> {
        Arc::clone(&self.values)
    }

    /// How long a statement may take; `None`: as long as it needs.
    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        self.statement_timeout
    }

    /// Whether the session has said that it will not write.
    pub(super) fn is_read_only(&self) -> bool {
        ["default_transaction_read_only", "transaction_read_only"]
            .iter()
            .any(|name| self.values.get(*name).is_some_and(|value| is_on(value)))
    }
}

fn is_on(value: &str) -> bool {
    ["on", "true", "yes", "1"].contains(&value.to_lowercase().as_str())
}

/// Refuses what would make answers mean something else than the client believes.
fn check(name: &str, value: &str) -> Result<(), SqlError> {
    let wanted = value.to_lowercase().replace(['-', '_'], "");
    let only = match name {
        "client_encoding" if !["utf8", "unicode", "sqlascii"].contains(&wanted.as_str()) => "UTF8",
        "standard_conforming_strings" if !is_on(value) => "on",
        "timezone" if !is_utc(value) => {
            return Err(SqlError::new(
                "22023",
                format!("timestamps are given in UTC; the time zone cannot be {value}"),
            )
            .with_hint("convert in the query: at AT TIME ZONE 'Europe/Berlin'"));
        }
        "server_version"
        | "server_version_num"
        | "server_encoding"
        | "integer_datetimes"
        | "max_identifier_length" => {
            return Err(SqlError::new(
                "55P02",
                format!("\"{name}\" cannot be changed"),
            ));
        }
        _ => return Ok(()),
    };
    Err(SqlError::new(
        "22023",
        format!("\"{name}\" can only be {only}, not {value}"),
    ))
}

fn is_utc(zone: &str) -> bool {
    [
        "utc", "etc/utc", "gmt", "etc/gmt", "z", "0", "+00:00", "local", "zulu",
    ]
    .contains(&zone.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_answers_is_refused() {
        let mut settings = Settings::default();
        settings.set("datestyle", Some("ISO")).expect("harmless");
        settings.set("whatever.it_is", Some("1")).expect("harmless");
        for (name, value) in [
            ("client_encoding", "LATIN1"),
            ("timezone", "Europe/Berlin"),
            ("standard_conforming_strings", "off"),
        ] {
            assert!(settings.set(name, Some(value)).is_err(), "{name}");
        }
        assert_eq!(settings.get("timezone").expect("known"), "UTC");
        assert!(settings.get("nonsense").is_err());
    }
}
