//! What the documents name exists.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the tests of a module are written, and the line that begins the one of this name.
fn home(module: &str, name: &str) -> (PathBuf, String) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let declared = format!("fn {name}(");
    let file = match module {
        "properties" => tests.join("properties/main.rs"),
        module => (tests.join("it").join(module.replace("::", "/"))).with_extension("rs"),
    };
    (file, declared)
}

/// The same for a record of the conformance table.
fn record(topic: &str, id: &str) -> (PathBuf, String) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let file = tests.join("conformance").join(topic).with_extension("toml");
    (file, format!("id = \"{id}\""))
}

fn file_stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

#[test]
fn the_tests_that_hold_our_promises_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wire.md");
    let document = fs::read_to_string(path).expect("the document is there");
    let rows = document.lines().filter(|line| line.starts_with("| "));
    let held_by = rows.filter_map(|row| row.split(" | ").nth(1));
    let mut named = 0;
    for column in held_by {
        // What stands between backticks.
        for name in column.split('`').skip(1).step_by(2) {
            let (file, line) = match (name.rsplit_once("::"), name.split_once(": ")) {
                (Some((module, test)), _) => home(module, test),
                (None, Some((topic, id))) => record(topic, id),
                // All of a topic.
                (None, None) => record(name, ""),
            };
            let text = fs::read_to_string(&file);
            let text = text.unwrap_or_else(|error| panic!("{name}: {}: {error}", file.display()));
            let is_there = name == file_stem(&file) || text.contains(&line);
            assert!(is_there, "{name} is no test");
            named += 1;
        }
    }
    assert!(named > 80, "only {named} names were found");
}
