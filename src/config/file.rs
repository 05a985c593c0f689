//! Reads `mainstem.toml` into [`RawSettings`]: the form of the file is checked here (syntax, keys,
//! kinds of values), what the values mean in [`resolve`](super::resolve).

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::keys::{self, Key, Kind, SOURCE_KEYS, SOURCE_SECTION};
use super::problem::{Problem, closest};
use super::raw::{Origin, Raw, RawSettings, RawSource};

/// Reads the text of the file called `file`; problems are added to `problems` and what is wrong
/// is left out.
pub fn read(file: &str, text: &str, problems: &mut Vec<Problem>) -> RawSettings {
    let mut reader = Reader {
        file,
        text,
        problems,
    };
    let mut settings = RawSettings::default();
    match DeTable::parse(text) {
        Ok(table) => reader.top_level(table.get_ref(), &mut settings),
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            reader.refuse(
                offset,
                format!("this is not TOML: {}", error.message().replace('\n', ", ")),
                "see https://toml.io for the format and docs/configuration.md for the keys",
            );
        }
    }
    settings
}

struct Reader<'r> {
    file: &'r str,
    text: &'r str,
    problems: &'r mut Vec<Problem>,
}

impl Reader<'_> {
    fn top_level(&mut self, table: &DeTable<'_>, settings: &mut RawSettings) {
        for (name, value) in in_file_order(table) {
            let word = name.get_ref().as_ref();
            if word == SOURCE_SECTION {
                self.sources(value, settings);
            } else if keys::sections().contains(&word) {
                match value.get_ref() {
                    DeValue::Table(section) => self.section(word, section, settings),
                    _ => self.refuse(
                        name.span().start,
                        format!("`{word}` is a section"),
                        format!("write it as [{word}] on a line of its own, its keys below"),
                    ),
                }
            } else {
                self.entry("", name, value, settings);
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>, settings: &mut RawSettings) {
        for (name, value) in in_file_order(table) {
            self.entry(section, name, value, settings);
        }
    }

    fn entry(
        &mut self,
        section: &str,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        settings: &mut RawSettings,
    ) {
        match keys::find(section, name.get_ref()) {
            Some(key) => {
                if let Some(raw) = self.scalar(key, value) {
                    settings.values.insert(key.path, raw);
                }
            }
            None => {
                let hint = unknown_key_hint(section, name.get_ref());
                self.unknown(name, section, hint);
            }
        }
    }

    fn sources(&mut self, value: &Spanned<DeValue<'_>>, settings: &mut RawSettings) {
        let DeValue::Array(array) = value.get_ref() else {
            return self.refuse(
                value.span().start,
                "sources are a list",
                "begin each one with [[source]] on a line of its own",
            );
        };
        for item in array.iter() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    let source = self.source(table, item.span().start);
                    settings.sources.push(source);
                }
                _ => self.refuse(
                    item.span().start,
                    "a source is a table of keys",
                    "begin each one with [[source]] on a line of its own",
                ),
            }
        }
    }

    fn source(&mut self, table: &DeTable<'_>, offset: usize) -> RawSource {
        let mut source = RawSource {
            origin: Some(self.origin(offset)),
            ..RawSource::default()
        };
        for (name, value) in in_file_order(table) {
            let word = name.get_ref().as_ref();
            let Some(key) = SOURCE_KEYS.iter().find(|key| key.path == word) else {
                let names = SOURCE_KEYS.iter().map(|key| key.path);
                let hint = suggestion(word, names);
                self.unknown(name, "[source]", hint);
                continue;
            };
            match (key.kind, value.get_ref()) {
                (Kind::Mapping, DeValue::Table(mapping)) => self.mapping(mapping, &mut source),
                _ => {
                    if let Some(raw) = self.scalar(key, value) {
                        source.values.insert(key.path, raw);
                    }
                }
            }
        }
        if let Some(name) = source.values.get("name") {
            source.name = name.text.clone();
        }
        source
    }

    fn mapping(&mut self, mapping: &DeTable<'_>, source: &mut RawSource) {
        for (table, sql) in in_file_order(mapping) {
            match sql.get_ref() {
                DeValue::String(text) => {
                    let raw = Raw {
                        text: text.to_string(),
                        origin: self.origin(sql.span().start),
                    };
                    source.mapping.insert(table.get_ref().to_string(), raw);
                }
                _ => self.refuse(
                    sql.span().start,
                    format!("the mapping of `{}` is no text", table.get_ref()),
                    "write a SELECT over the raw columns in quotes, or the path of a .sql file",
                ),
            }
        }
    }

    fn scalar(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) -> Option<Raw> {
        let (text, fits) = match value.get_ref() {
            DeValue::String(text) => (text.to_string(), takes_text(key.kind)),
            DeValue::Integer(number) => (number.to_string(), key.kind == Kind::Count),
            DeValue::Boolean(value) => (value.to_string(), key.kind == Kind::Switch),
            _ => (String::new(), false),
        };
        if fits {
            let origin = self.origin(value.span().start);
            return Some(Raw { text, origin });
        }
        self.refuse(
            value.span().start,
            format!("`{}` can't be this kind of value", key.path),
            format!("write {}", expectation(key.kind)),
        );
        None
    }

    fn unknown(&mut self, name: &Spanned<DeString<'_>>, section: &str, hint: String) {
        let what = match section {
            "" => format!("unknown key `{}`", name.get_ref()),
            _ => format!("unknown key `{}` in [{section}]", name.get_ref()),
        };
        self.refuse(name.span().start, what, hint);
    }

    fn refuse(&mut self, offset: usize, what: impl Into<String>, hint: impl Into<String>) {
        let place = self.origin(offset).to_string();
        self.problems.push(Problem::new(place, what, hint));
    }

    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(offset);
        Origin::File {
            file: self.file.to_owned(),
            line: 1 + before.filter(|byte| **byte == b'\n').count(),
        }
    }
}

type Entry<'t, 'i> = (&'t Spanned<DeString<'i>>, &'t Spanned<DeValue<'i>>);

/// The parser keeps keys sorted by name; people expect messages from top to bottom.
fn in_file_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

fn takes_text(kind: Kind) -> bool {
    !matches!(kind, Kind::Count | Kind::Switch)
}

/// What a key of this kind takes, to follow "write".
pub(super) fn expectation(kind: Kind) -> String {
    match kind {
        Kind::Path => "a path in quotes".into(),
        Kind::Address => "an address in quotes, such as \"127.0.0.1:7432\", or \"off\"".into(),
        Kind::Duration => "a duration in quotes, such as \"15 minutes\", or \"off\"".into(),
        Kind::Size => "a size in quotes, such as \"512 MiB\", or \"off\"".into(),
        Kind::Count => "a whole number of at least 1, without quotes".into(),
        Kind::Switch => "true or false, without quotes".into(),
        Kind::Text => "a text in quotes".into(),
        Kind::Choice(words) => format!("one of \"{}\"", words.join("\", \"")),
        Kind::Mapping => {
            "the path of a .sql file in quotes, or a section [source.mapping] with a SELECT for \
             each target table"
                .into()
        }
    }
}

fn unknown_key_hint(section: &str, word: &str) -> String {
    let elsewhere = keys::KEYS
        .iter()
        .map(|key| key.section_and_name())
        .find(|(other, name)| *name == word && *other != section);
    match elsewhere {
        Some(("", name)) => format!("`{name}` stands at the top of the file, before any section"),
        Some((other, name)) => format!("`{name}` belongs in the section [{other}]"),
        None => suggestion(word, keys::names_in(section)),
    }
}

fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match closest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}
