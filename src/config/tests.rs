//! Settings as a whole: the file, precedence, every mistake, and the documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Command};
use tempfile::TempDir;

use super::keys::{KEYS, SOURCE_KEYS};
use super::*;

const SOURCE: &str = "[[source]]\nname = \"shop\"\nkind = \"csv\"\npath = \"in/*.csv\"\n\
                      mapping = \"shop.sql\"\n";

/// Loads `text` as the settings file of a directory of its own.
fn load_text(text: &str, environment: &Environment) -> (TempDir, Result<Settings, ConfigError>) {
    let overrides = Overrides::default();
    load_with(text, overrides, environment)
}

fn load_with(
    text: &str,
    mut overrides: Overrides,
    environment: &Environment,
) -> (TempDir, Result<Settings, ConfigError>) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("mainstem.toml");
    fs::write(&file, text).expect("a file in the temporary directory");
    overrides.config = Some(file);
    let settings = load(&overrides, environment);
    (directory, settings)
}

/// The problems of a text, with the directory left out of their places.
fn problems_of(text: &str) -> Vec<Problem> {
    let (_directory, settings) = load_text(text, &Environment::default());
    let error = settings.expect_err("the settings are wrong");
    let mut problems = error.problems;
    for problem in &mut problems {
        if let Some((_, place)) = problem.place.rsplit_once('/') {
            problem.place = place.to_owned();
        }
    }
    problems
}

/// Checks that `text` has exactly one problem, with these words in it.
fn assert_refused(text: &str, place: &str, what: &str, hint: &str) {
    let problems = problems_of(text);
    assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    assert_eq!(problems[0].place, place, "{text}");
    assert!(problems[0].what.contains(what), "{text}: {}", problems[0]);
    assert!(problems[0].hint.contains(hint), "{text}: {}", problems[0]);
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let (directory, settings) = load_text("", &Environment::default());
    let settings = settings.expect("defaults");
    assert_eq!(settings.data_dir, directory.path().join("mainstem-data"));
    assert_eq!(settings.dataflows, None);
    assert_eq!(settings.queries, None);
    assert!(settings.workers >= 1);
    assert_eq!(settings.history, None);
    assert_eq!(settings.serve.pgwire, "127.0.0.1:7432".parse().ok());
    assert_eq!(settings.serve.http, "127.0.0.1:7400".parse().ok());
    assert_eq!(settings.snapshot.every, None);
    assert_eq!(settings.snapshot.retain, 10);
    assert!(!settings.snapshot.is_configured);
    assert!(settings.sources.is_empty());
    assert!(settings.warnings.is_empty());
}

#[test]
fn a_full_file_is_read() {
    let text = format!(
        "data_dir = \"data\"\ndataflows = \"/views\"\nqueries = \"q\"\nworkers = 3\nhistory = \"10 minutes\"\n\
         [serve]\npgwire = \"0.0.0.0:5433\"\nhttp = \"localhost:7400\"\n\
         [snapshot]\ndir = \"out\"\nevery = \"15 minutes\"\nretain = 4\n{SOURCE}clock = \"event\"\n"
    );
    let (directory, settings) = load_text(&text, &Environment::default());
    let settings = settings.expect("a good file");
    assert_eq!(settings.data_dir, directory.path().join("data"));
    assert_eq!(settings.dataflows, Some("/views".into()));
    assert_eq!(settings.queries, Some(directory.path().join("q")));
    assert_eq!(settings.workers, 3);
    assert_eq!(settings.history, Some(Duration::from_secs(600)));
    assert_eq!(settings.serve.pgwire, "0.0.0.0:5433".parse().ok());
    assert_eq!(settings.serve.http, "127.0.0.1:7400".parse().ok());
    assert_eq!(settings.snapshot.dir, directory.path().join("out"));
    assert_eq!(settings.snapshot.every, Some(Duration::from_secs(900)));
    assert_eq!(settings.snapshot.retain, 4);
    assert!(settings.snapshot.is_configured);
    let source = &settings.sources[0];
    assert_eq!(source.name, "shop");
    assert_eq!(source.kind, "csv");
    assert_eq!(source.path, directory.path().join("in/*.csv"));
    assert_eq!(source.clock, Clock::Event);
    let mapping = directory.path().join("shop.sql");
    assert_eq!(source.mapping, MappingSettings::File(mapping));
}

#[test]
fn existing_default_directories_are_used() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("mainstem.toml");
    fs::write(&file, "").expect("a file");
    fs::create_dir(directory.path().join("dataflows")).expect("a directory");
    let overrides = Overrides {
        config: Some(file),
        ..Overrides::default()
    };
    let settings = load(&overrides, &Environment::default()).expect("defaults");
    assert_eq!(settings.dataflows, Some(directory.path().join("dataflows")));
    assert_eq!(settings.queries, None);
}

#[test]
fn flag_goes_before_variable_before_file_before_default() {
    let environment =
        Environment::from_pairs([("MAINSTEM_WORKERS", "2"), ("MAINSTEM_SNAPSHOT_RETAIN", "2")]);
    let overrides = Overrides {
        workers: Some("3".into()),
        ..Overrides::default()
    };
    let text = "workers = 1\n[snapshot]\nretain = 1\ndir = \"s\"\n";
    let (directory, settings) = load_with(text, overrides, &environment);
    let settings = settings.expect("good settings");
    assert_eq!(settings.workers, 3);
    assert_eq!(settings.snapshot.retain, 2);
    assert_eq!(settings.snapshot.dir, directory.path().join("s"));
    assert_eq!(settings.snapshot.every, None);
}

#[test]
fn paths_of_flags_are_relative_to_the_working_directory() {
    let overrides = Overrides {
        data_dir: Some("elsewhere".into()),
        ..Overrides::default()
    };
    let (_directory, settings) = load_with("", overrides, &Environment::default());
    let settings = settings.expect("good settings");
    assert_eq!(settings.data_dir, Path::new("elsewhere"));
}

#[test]
fn sources_can_be_changed_and_added_by_variable_and_flag() {
    let environment = Environment::from_pairs([("MAINSTEM_SOURCE_SHOP_PATH", "other.csv")]);
    let overrides = Overrides {
        source: [
            "shop.clock=event",
            "pos.kind=ndjson",
            "pos.path=a=b.json",
            "pos.mapping=pos.sql",
        ]
        .map(String::from)
        .to_vec(),
        ..Overrides::default()
    };
    let (_directory, settings) = load_with(SOURCE, overrides, &environment);
    let sources = settings.expect("good settings").sources;
    assert_eq!(sources.len(), 2);
    assert_eq!(sources[0].path, Path::new("other.csv"));
    assert_eq!(sources[0].clock, Clock::Event);
    assert_eq!(sources[1].name, "pos");
    assert_eq!(sources[1].path, Path::new("a=b.json"));
}

#[test]
fn malformed_source_flags_are_refused() {
    for (flag, what, hint) in [
        ("shop", "not NAME.KEY=VALUE", "--source"),
        ("shop.pth=x", "no key `pth`", "`path`"),
        ("shop.name=x", "no key `name`", "kind"),
    ] {
        let overrides = Overrides {
            source: vec![flag.into()],
            ..Overrides::default()
        };
        let (_directory, settings) = load_with(SOURCE, overrides, &Environment::default());
        let error = settings.expect_err(flag);
        assert!(error.problems[0].what.contains(what), "{error}");
        assert!(error.problems[0].hint.contains(hint), "{error}");
    }
}

#[test]
fn variables_are_replaced_in_paths() {
    let environment = Environment::from_pairs([("DATA", "/srv")]);
    let (_directory, settings) = load_text("data_dir = \"${DATA}/log\"\n", &environment);
    let settings = settings.expect("good settings");
    assert_eq!(settings.data_dir, Path::new("/srv/log"));
    assert_refused(
        "\ndata_dir = \"${NONE}/log\"\n",
        "mainstem.toml:2",
        "environment variable NONE is not set",
        "set the variable",
    );
}

#[test]
fn unknown_keys_are_refused_with_line_and_suggestion() {
    assert_refused(
        "# comment\nwrokers = 2\n",
        "mainstem.toml:2",
        "unknown key `wrokers`",
        "did you mean `workers`?",
    );
    assert_refused(
        "[serve]\npgwier = \"127.0.0.1:1\"\n",
        "mainstem.toml:2",
        "unknown key `pgwier` in [serve]",
        "did you mean `pgwire`?",
    );
    assert_refused(
        "pgwire = \"127.0.0.1:1\"\n",
        "mainstem.toml:1",
        "unknown key `pgwire`",
        "belongs in the section [serve]",
    );
    assert_refused(
        "[serve]\nworkers = 1\n",
        "mainstem.toml:2",
        "unknown key `workers`",
        "top of the file",
    );
    assert_refused(
        "[servce]\nhttp = \"off\"\n",
        "mainstem.toml:1",
        "unknown key `servce`",
        "did you mean `serve`?",
    );
    assert_refused(
        &format!("{SOURCE}clok = \"event\"\n"),
        "mainstem.toml:6",
        "unknown key `clok` in [[source]]",
        "did you mean `clock`?",
    );
    assert_refused(
        "zebra = 1\n",
        "mainstem.toml:1",
        "unknown key `zebra`",
        "known here: data_dir",
    );
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    for (text, what, hint) in [
        ("workers = \"2\"", "`workers` can't be", "whole number"),
        ("workers = 0", "`0` is no whole number", "at least 1"),
        ("workers = -1", "`-1` is no whole number", "at least 1"),
        ("workers = 9999", "more than 256", "whole number"),
        ("data_dir = 5", "`data_dir` can't be", "path in quotes"),
        ("data_dir = \"\"", "path is empty", "path in quotes"),
        ("serve = 1", "`serve` is a section", "[serve]"),
        ("source = 1", "sources are a list", "[[source]]"),
        ("source = [1]", "a source is a table", "[[source]]"),
        ("serve.pgwire = \"7432\"", "no address", "127.0.0.1:7432"),
        ("serve.http = \"0.0.0.0:99999\"", "no address", "off"),
        (
            "snapshot.every = 15",
            "`snapshot.every` can't",
            "15 minutes",
        ),
        ("snapshot.every = \"15\"", "no unit", "15 minutes"),
        (
            "snapshot.every = \"5 ms\"",
            "less than a second",
            "15 minutes",
        ),
        ("snapshot.retain = 0", "no whole number", "at least 1"),
    ] {
        assert_refused(text, "mainstem.toml:1", what, hint);
    }
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    assert_refused(
        "workers = 1\n[serve\n",
        "mainstem.toml:2",
        "this is not TOML",
        "docs/configuration.md",
    );
}

#[test]
fn incomplete_and_double_sources_are_refused() {
    assert_refused(
        "[[source]]\nkind = \"csv\"\n",
        "mainstem.toml:1",
        "a source has no name",
        "name =",
    );
    assert_refused(
        "[[source]]\nname = \"a\"\nkind = \"csv\"\nmapping = \"m.sql\"\n",
        "mainstem.toml:1",
        "the source `a` has no `path`",
        "add path",
    );
    assert_refused(
        &format!("{SOURCE}{SOURCE}"),
        "mainstem.toml:6",
        "two sources called `shop`",
        "its own name",
    );
    assert_refused(
        &SOURCE.replace("\"csv\"", "\"cvs\""),
        "mainstem.toml:3",
        "`cvs` is not known here",
        "did you mean \"csv\"?",
    );
}

#[test]
fn all_problems_are_reported_at_once_from_top_to_bottom() {
    let problems = problems_of("zebra = 1\nworkers = \"x\"\n[snapshot]\nevery = \"1\"\n");
    let places: Vec<&str> = problems.iter().map(|p| p.place.as_str()).collect();
    assert_eq!(
        places,
        ["mainstem.toml:1", "mainstem.toml:2", "mainstem.toml:4"]
    );
}

#[test]
fn problems_of_variables_and_flags_name_them() {
    let environment = Environment::from_pairs([("MAINSTEM_SNAPSHOT_EVERY", "soon")]);
    let overrides = Overrides {
        workers: Some("many".into()),
        ..Overrides::default()
    };
    let (_directory, settings) = load_with("", overrides, &environment);
    let error = settings.expect_err("two mistakes");
    let places: Vec<&str> = error.problems.iter().map(|p| p.place.as_str()).collect();
    assert_eq!(places, ["--workers", "MAINSTEM_SNAPSHOT_EVERY"]);
    assert!(!error.to_string().contains("quotes"), "{error}");
}

#[test]
fn a_missing_file_is_refused_only_if_it_was_named() {
    let overrides = Overrides {
        config: Some("no/such/file.toml".into()),
        ..Overrides::default()
    };
    let error = load(&overrides, &Environment::default()).expect_err("no file");
    assert!(error.to_string().contains("no/such/file.toml"), "{error}");
    assert!(error.to_string().contains("--config"), "{error}");
    let environment = Environment::from_pairs([("MAINSTEM_CONFIG", "none.toml")]);
    assert!(load(&Overrides::default(), &environment).is_err());
}

#[test]
fn misspelt_variables_are_warned_of() {
    let environment =
        Environment::from_pairs([("MAINSTEM_WORKRES", "2"), ("MAINSTEM_LOG", "debug")]);
    let (_directory, settings) = load_text("", &environment);
    let warnings = settings.expect("good settings").warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("MAINSTEM_WORKERS"), "{warnings:?}");
}

#[test]
fn every_key_has_its_flag_and_no_flag_is_without_a_key() {
    let command = Overrides::augment_args(Command::new("test"));
    let flags: BTreeSet<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long().map(String::from))
        .collect();
    let mut expected: BTreeSet<String> = KEYS.iter().map(|key| key.flag()).collect();
    expected.extend(["config".to_owned(), "source".to_owned()]);
    assert_eq!(flags, expected);
}

#[test]
fn a_value_given_by_flag_reaches_its_key() {
    use clap::FromArgMatches;
    for key in KEYS {
        let flag = format!("--{}", key.flag());
        let matches = Overrides::augment_args(Command::new("test"))
            .try_get_matches_from(["test", &flag, "nonsense:value"])
            .expect(key.path);
        let overrides = Overrides::from_arg_matches(&matches).expect(key.path);
        let mut raw = raw::RawSettings::default();
        overrides::apply(
            &overrides,
            &Environment::default(),
            &mut raw,
            &mut Vec::new(),
        );
        assert_eq!(raw.values[key.path].text, "nonsense:value", "{}", key.path);
    }
}

/// The keys that docs/configuration.md has a heading for, such as "### `snapshot.every`".
fn documented_keys() -> BTreeSet<String> {
    include_str!("../../docs/configuration.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### `"))
        .filter_map(|rest| rest.split('`').next())
        .map(String::from)
        .collect()
}

#[test]
fn the_documentation_has_every_key_and_no_other() {
    let mut keys: BTreeSet<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    keys.extend(SOURCE_KEYS.iter().map(|key| format!("source.{}", key.path)));
    assert_eq!(documented_keys(), keys);
}

#[test]
fn the_documentation_names_every_flag_and_variable() {
    let text = include_str!("../../docs/configuration.md");
    for key in KEYS {
        assert!(
            text.contains(&format!("`--{}`", key.flag())),
            "{}",
            key.path
        );
        assert!(
            text.contains(&format!("`{}`", key.variable())),
            "{}",
            key.path
        );
    }
}
