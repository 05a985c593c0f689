//! The settings there are: one table from which the file's checks, the flags, the environment
//! variables and the documentation's completeness test all follow.

/// What kind of text a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file or directory; `${VARIABLE}` is replaced.
    Path,
    /// A socket address such as `127.0.0.1:7432`, or `off`.
    Address,
    /// A duration such as `15 minutes`, or `off`.
    Duration,
    /// A number of bytes such as `512 MiB`, or `off`.
    Size,
    /// A whole number of at least 1.
    Count,
    /// `true` or `false`.
    Switch,
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A path, or a table of SQL text by target table.
    Mapping,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name in the file, with its section: `snapshot.every`.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
}

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind }
}

/// The keys outside of `[[source]]`.
pub const KEYS: &[Key] = &[
    key("data_dir", Kind::Path),
    key("dataflows", Kind::Path),
    key("queries", Kind::Path),
    key("workers", Kind::Count),
    key("history", Kind::Duration),
    key("shutdown_timeout", Kind::Duration),
    key("serve.pgwire", Kind::Address),
    key("serve.http", Kind::Address),
    key("serve.connections", Kind::Count),
    key("serve.message_size", Kind::Size),
    key("log.retain", Kind::Duration),
    key("log.min_free", Kind::Size),
    key("log.segment", Kind::Size),
    key("events.remember", Kind::Duration),
    key("memory.budget", Kind::Size),
    key("query.memory", Kind::Size),
    key("query.timeout", Kind::Duration),
    key("query.rows", Kind::Count),
    key("checkpoint.every", Kind::Duration),
    key("checkpoint.retain", Kind::Count),
    key("snapshot.dir", Kind::Path),
    key("snapshot.every", Kind::Duration),
    key("snapshot.retain", Kind::Count),
];

/// The section of the file that lists sources.
pub const SOURCE_SECTION: &str = "source";

/// The keys of one `[[source]]`.
pub const SOURCE_KEYS: &[Key] = &[
    key("name", Kind::Text),
    key("kind", Kind::Choice(&["csv", "ndjson", "parquet"])),
    key("path", Kind::Path),
    key("mapping", Kind::Mapping),
    key("clock", Kind::Choice(&["wall", "event"])),
    key("delimiter", Kind::Text),
    key("header", Kind::Switch),
];

impl Key {
    /// The command-line flag without the leading dashes: `snapshot-every`.
    pub fn flag(&self) -> String {
        self.path.replace(['.', '_'], "-")
    }

    /// The environment variable: `MAINSTEM_SNAPSHOT_EVERY`.
    pub fn variable(&self) -> String {
        format!("MAINSTEM_{}", variable_part(self.path))
    }

    /// The section and the name inside it; the section is empty at the top level.
    pub fn section_and_name(&self) -> (&'static str, &'static str) {
        self.path.split_once('.').unwrap_or(("", self.path))
    }
}

/// The environment variable for a key of the source called `source`.
pub fn source_variable(source: &str, key: &Key) -> String {
    format!(
        "MAINSTEM_SOURCE_{}_{}",
        variable_part(source),
        variable_part(key.path)
    )
}

fn variable_part(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

/// The key of a section with this name.
pub fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.section_and_name() == (section, name))
}

/// The names of the keys of a section, and at the top level also the sections.
pub fn names_in(section: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = KEYS
        .iter()
        .filter(|key| key.section_and_name().0 == section)
        .map(|key| key.section_and_name().1)
        .collect();
    if section.is_empty() {
        names.extend(sections());
    }
    names
}

/// The sections of the file, without `[[source]]`'s keys.
pub fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&'static str> = KEYS
        .iter()
        .map(|key| key.section_and_name().0)
        .filter(|section| !section.is_empty())
        .collect();
    sections.dedup();
    sections.push(SOURCE_SECTION);
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_one_rule() {
        let key = find("snapshot", "every").expect("a known key");
        assert_eq!(key.flag(), "snapshot-every");
        assert_eq!(key.variable(), "MAINSTEM_SNAPSHOT_EVERY");
        assert_eq!(
            source_variable("online-retail", &SOURCE_KEYS[2]),
            "MAINSTEM_SOURCE_ONLINE_RETAIL_PATH"
        );
    }

    #[test]
    fn the_top_level_knows_the_sections() {
        let names = names_in("");
        for name in ["data_dir", "serve", "snapshot", "source"] {
            assert!(names.contains(&name), "{name}");
        }
        assert_eq!(
            names_in("serve"),
            ["pgwire", "http", "connections", "message_size"]
        );
    }
}
