//! The demo, as somebody sees it who runs it for the first time.

use std::fs;
use std::path::Path;

use mainstem::log::fs::RealFileSystem;
use mainstem::snapshot::{latest, verify};

use crate::engine::open;
use crate::generator::sorted_rows;
use crate::tools::mainstem_succeeds;

/// The names of the shipped views with the queries that define them.
fn shipped_views() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dataflows");
    let entries = fs::read_dir(directory).expect("the shipped views");
    let view = |entry: fs::DirEntry| {
        let path = entry.path();
        let name = path.file_stem().expect("a name").display().to_string();
        let text = fs::read_to_string(&path).expect("text");
        let head = format!("CREATE MATERIALIZED VIEW {name} AS");
        let (_, query) = text.split_once(&head).expect("a view");
        (name, query.trim().trim_end_matches(';').to_owned())
    };
    entries
        .map(|entry| view(entry.expect("an entry")))
        .collect()
}

#[test]
fn the_demo_fills_views_writes_snapshots_answers_and_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    let arguments = [
        "demo",
        "--once",
        "--scale",
        "0.05",
        "--days",
        "30",
        "--workers",
        "2",
        "--serve-pgwire",
        "off",
        "--serve-http",
        "off",
    ];
    let output = mainstem_succeeds(directory.path(), &arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Parquet snapshots of 8 views"), "{text}");
    assert_eq!(text.matches("?\n  ").count(), 6, "{text}");
    assert_eq!(text.matches(" row").count(), 6, "{text}");
    assert!(!text.contains('\x1b'), "colours are for terminals: {text}");

    let views = shipped_views();
    assert_eq!(views.len(), 8);
    let root = directory.path().join("mainstem-demo");
    let mut timestamps = Vec::new();
    for (name, _) in &views {
        let newest = latest(&RealFileSystem, &root.join("snapshots"), name).expect("readable");
        let newest = newest.unwrap_or_else(|| panic!("no snapshot of {name}"));
        let manifest = verify(&RealFileSystem, &newest.path).expect("a whole snapshot");
        assert!(manifest.rows > 0, "{name} is empty");
        timestamps.push(manifest.timestamp_ms);
    }
    timestamps.dedup();
    assert_eq!(timestamps.len(), 1, "all snapshots are of one moment");

    let engine = open(&root.join("data"), 2);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut session = engine.session();
        for (name, query) in &views {
            let maintained = sorted_rows(&mut session, &format!("SELECT * FROM {name}")).await;
            let batch = sorted_rows(&mut session, query).await;
            assert!(maintained == batch, "{name} is not what its query says");
        }
    });
    engine.shutdown();
}
