//! What has been entered before, in this conversation and in earlier ones.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Entries that are kept.
const ENTRIES_MAX: usize = 1000;

/// Earlier entries, oldest first, and where among them the user is.
#[derive(Default)]
pub(super) struct History {
    entries: Vec<String>,
    /// The entry that is shown; the number of entries: the line that is being written.
    position: usize,
    /// The line that was being written when the user went back.
    draft: String,
    file: Option<PathBuf>,
}

impl History {
    /// The user's history; where its file can't be used, one of this conversation only.
    pub(super) fn of_user() -> History {
        match file_of_user() {
            Some(file) => History::open(file),
            None => History::default(),
        }
    }

    fn open(file: PathBuf) -> History {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut entries: Vec<String> = text.lines().map(str::to_owned).collect();
        let surplus = entries.len().saturating_sub(ENTRIES_MAX);
        entries.drain(..surplus);
        let mut history = History {
            position: entries.len(),
            entries,
            draft: String::new(),
            file: Some(file),
        };
        if surplus > 0 {
            let entries = history.entries.join("\n");
            history.keep(|file| replace(file, &entries));
        }
        history
    }

    /// Adds an entry, unless it is the newest already or begins with a space.
    pub(super) fn add(&mut self, entry: &str) {
        let is_wanted = !entry.trim().is_empty() && !entry.starts_with(' ');
        // A file of lines holds entries of one line.
        let is_line = !entry.contains(['\n', '\r']);
        if is_wanted && is_line && self.entries.last().is_none_or(|last| last != entry) {
            self.entries.push(entry.to_owned());
            self.keep(|file| append(file, entry));
        }
        self.position = self.entries.len();
        self.draft.clear();
    }

    /// The entry before the one that is shown; `written` is what stands in the line.
    pub(super) fn older(&mut self, written: &str) -> Option<&str> {
        let older = self.position.checked_sub(1)?;
        if self.position == self.entries.len() {
            written.clone_into(&mut self.draft);
        }
        self.position = older;
        self.entries.get(older).map(String::as_str)
    }

    /// The entry after the one that is shown, and at last the line that was being written.
    pub(super) fn newer(&mut self) -> Option<&str> {
        if self.position >= self.entries.len() {
            return None;
        }
        self.position += 1;
        let entry = self.entries.get(self.position);
        Some(entry.map_or(self.draft.as_str(), String::as_str))
    }

    /// Writes to the file; one that can't be written is given up.
    fn keep(&mut self, write: impl Fn(&Path) -> io::Result<()>) {
        if self
            .file
            .as_deref()
            .is_some_and(|file| write(file).is_err())
        {
            self.file = None;
        }
    }
}

/// `$XDG_STATE_HOME/mainstem/sql_history`, by default below `~/.local/state`.
fn file_of_user() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = variable("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/state")))?;
    let directory = state.join("mainstem");
    fs::create_dir_all(&directory).ok()?;
    Some(directory.join("sql_history"))
}

fn append(file: &Path, entry: &str) -> io::Result<()> {
    let mut file = private(OpenOptions::new().append(true).create(true)).open(file)?;
    // In one piece, so that conversations side by side do not mix their lines.
    file.write_all(format!("{entry}\n").as_bytes())
}

fn replace(path: &Path, entries: &str) -> io::Result<()> {
    let whole = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = private(options.write(true).create(true).truncate(true)).open(&whole)?;
    file.write_all(format!("{entries}\n").as_bytes())?;
    fs::rename(&whole, path)
}

/// Statements may hold what others are not to read.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_walked_back_and_forth() {
        let mut history = History::default();
        assert_eq!(history.older("x"), None);
        for entry in ["a;", "b;", "b;", " secret;", "two\nlines;", ""] {
            history.add(entry);
        }
        assert_eq!(history.older("c"), Some("b;"));
        assert_eq!(history.older("b;"), Some("a;"));
        assert_eq!(history.older("a;"), None);
        assert_eq!(history.newer(), Some("b;"));
        assert_eq!(history.newer(), Some("c"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn entries_outlive_the_conversation_up_to_a_bound() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("history");
        let mut history = History::open(file.clone());
        for number in 0..=ENTRIES_MAX {
            history.add(&format!("SELECT {number};"));
        }
        let mut next = History::open(file.clone());
        assert_eq!(
            next.older(""),
            Some(format!("SELECT {ENTRIES_MAX};").as_str())
        );
        assert_eq!(next.entries.len(), ENTRIES_MAX);
        assert_eq!(next.entries[0], "SELECT 1;");
        let lines = fs::read_to_string(&file).expect("the file");
        assert_eq!(lines.lines().count(), ENTRIES_MAX);
    }
}
