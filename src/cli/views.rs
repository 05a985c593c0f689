//! The files of a `dataflows` directory: one live view each.

use std::fs;
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// Directories nested deeper than this are a loop of links.
const DEEPEST: usize = 16;

/// One file with the definition of a live view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewFile {
    /// The view's name: that of the file without `.sql`.
    pub name: String,
    /// The text of the file.
    pub sql: String,
    /// Where it stands, for messages.
    pub place: String,
}

/// Reads every `*.sql` file below `directory`, in the order of their paths.
///
/// Fails with everything that is wrong: unreadable files, two files of one name, names that are
/// no view names.
pub fn read(directory: &Path) -> Result<Vec<ViewFile>, Failure> {
    let mut paths = Vec::new();
    collect(directory, 0, &mut paths)?;
    paths.sort();
    let mut views: Vec<ViewFile> = Vec::new();
    let mut failure: Option<Failure> = None;
    for path in &paths {
        let result = read_one(path).and_then(|view| match find(&views, &view.name) {
            Some(other) => Err(Failure::new(
                format!("{}: {} defines this view too", view.place, other.place),
                "a view has one file; rename or remove one of them",
            )),
            None => Ok(view),
        });
        match result {
            Ok(view) => views.push(view),
            Err(other) => failure = Some(Failure::joined(failure.take(), other)),
        }
    }
    match failure {
        None => Ok(views),
        Some(failure) => Err(failure),
    }
}

/// The file of the view called `name`.
pub fn find<'v>(views: &'v [ViewFile], name: &str) -> Option<&'v ViewFile> {
    views.iter().find(|view| view.name == name)
}

/// Reads the file of one view.
pub fn read_one(path: &Path) -> Result<ViewFile, Failure> {
    let place = path.display().to_string();
    let name = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("");
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_name {
        return Err(Failure::new(
            format!("{place}: `{name}` is no name of a view"),
            "name the file after its view, in lower-case letters, digits and underscores",
        ));
    }
    let sql = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Ok(ViewFile {
        name: name.to_owned(),
        sql,
        place,
    })
}

fn collect(directory: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if depth > DEEPEST {
        return Err(Failure::new(
            format!("{}: directories are nested too deep", directory.display()),
            "look for a symbolic link that leads back to its parent",
        ));
    }
    let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        if path.is_dir() {
            collect(&path, depth + 1, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            paths.push(path);
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("{} can't be read: {error}", path.display()),
        "check the path and its permissions",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        directory
    }

    #[test]
    fn all_sql_files_are_read_in_order() {
        let directory = directory_with(&[
            ("b.sql", "B"),
            ("shop/a_1.sql", "A"),
            ("README.md", "not a view"),
        ]);
        let views = read(directory.path()).expect("good files");
        let read: Vec<(&str, &str)> = views
            .iter()
            .map(|view| (view.name.as_str(), view.sql.as_str()))
            .collect();
        assert_eq!(read, [("b", "B"), ("a_1", "A")]);
        assert!(find(&views, "a_1").is_some() && find(&views, "c").is_none());
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let directory = directory_with(&[
            ("x/orders.sql", ""),
            ("y/orders.sql", ""),
            ("y/Big.sql", ""),
            ("z/my-view.sql", ""),
        ]);
        let message = read(directory.path()).expect_err("wrong files").to_string();
        assert!(
            message.contains("x/orders.sql defines this view too"),
            "{message}"
        );
        assert!(message.contains("`Big` is no name"), "{message}");
        assert!(message.contains("`my-view` is no name"), "{message}");
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let message = read(Path::new("no/such/directory"))
            .expect_err("missing")
            .to_string();
        assert!(
            message.contains("no/such/directory can't be read"),
            "{message}"
        );
    }
}
