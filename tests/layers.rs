//! The layers of the library: which folder of `src` may import which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with the layers that it may import, as in the table of ARCHITECTURE.md.
const LAYERS: [(&str, &[&str]); 13] = [
    ("logging", &["sync"]),
    ("sync", &[]),
    ("fs", &["sync"]),
    ("message", &["logging", "sync", "fs"]),
    ("net", &["sync", "fs", "message"]),
    ("http1", &["message"]),
    ("http2", &["message"]),
    ("form_data", &[]),
    (
        "connection",
        &["logging", "sync", "message", "net", "http1", "http2"],
    ),
    (
        "server",
        &["logging", "sync", "message", "net", "connection"],
    ),
    ("web", &["sync", "logging", "fs", "message", "form_data"]),
    ("testing", &["message", "http1", "connection"]),
    (
        "services",
        &["logging", "sync", "message", "server", "web", "testing"],
    ),
];

/// The files outside of `src/connection/http1` that may name the codec of HTTP/1.1: the worker's
/// buffers, and the two that write or read bodies around it.
const BESIDE_THE_PROTOCOL: [&str; 3] = ["body_writer.rs", "upgraded.rs", "worker_buffers.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be listed");
    entries
        .map(|entry| entry.expect("the entry can be read").path())
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            // Beside the code are samples, and images.
            false => Vec::from_iter(
                path.extension()
                    .is_some_and(|is| is == "rs")
                    .then_some(path),
            ),
        })
        .collect()
}

/// The first segments of all `crate::` paths in code, without comments.
fn imported_layers(source: &str) -> BTreeSet<String> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let first = |path: &str| -> String {
        let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
        path.trim().chars().take_while(is_name).collect()
    };
    let mut names = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        match path
            .strip_prefix('{')
            .and_then(|group| group.split_once('}'))
        {
            Some((group, _)) => names.extend(group.split(',').map(first)),
            None => drop(names.insert(first(path))),
        }
    }
    names.remove("");
    names
}

/// An import through the crate root would hide which layer it needs.
#[test]
fn no_layer_imports_a_higher_one() {
    let mut wrong = Vec::new();
    for (layer, below) in LAYERS {
        for file in sources(&root().join("src").join(layer)) {
            let source = fs::read_to_string(&file).expect("the file can be read");
            for name in imported_layers(&source) {
                if name != layer && !below.contains(&name.as_str()) {
                    wrong.push(format!("{} names crate::{name}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A second protocol comes beside `http1`, so the common part of a connection must not depend on it.
#[test]
fn common_part_of_a_connection_names_no_protocol() {
    let folder = root().join("src/connection");
    let mut wrong = Vec::new();
    for file in sources(&folder) {
        let path = file
            .strip_prefix(&folder)
            .expect("the file is in the folder");
        let is_exempt = path.starts_with("http1")
            || path.starts_with("tests")
            || BESIDE_THE_PROTOCOL
                .iter()
                .any(|name| path == Path::new(name));
        let source = fs::read_to_string(&file).expect("the file can be read");
        if !is_exempt && imported_layers(&source).contains("http1") {
            wrong.push(format!("{} names crate::http1", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_is_a_layer() {
    let entries = fs::read_dir(root().join("src")).expect("the folder can be listed");
    let names = entries.map(|entry| {
        let entry = entry.expect("the entry can be read");
        entry.file_name().into_string().expect("names are UTF-8")
    });
    let found: BTreeSet<String> = names.filter(|name| name != "lib.rs").collect();
    let known = LAYERS.iter().map(|(layer, _)| (*layer).to_owned());
    assert_eq!(found, known.collect());
}

#[test]
fn architecture_shows_the_same_layers() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the file can be read");
    let rows: BTreeMap<String, BTreeSet<String>> = text
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `src/")?.split('|');
            let layer = cells.next()?.trim().strip_suffix("/`")?.to_owned();
            let known = cells
                .next()?
                .split(',')
                .map(|name| name.trim().replace('`', ""));
            Some((layer, known.filter(|name| name != "nothing").collect()))
        })
        .collect();
    let expected = LAYERS.iter().map(|(layer, below)| {
        let below = below.iter().map(|name| (*name).to_owned());
        ((*layer).to_owned(), below.collect())
    });
    assert_eq!(rows, expected.collect());
}

/// All files and folders below this folder.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be listed");
    entries
        .map(|entry| entry.expect("the entry can be read").path())
        .flat_map(|path| match path.is_dir() {
            true => [paths(&path), vec![path]].concat(),
            false => vec![path],
        })
        .collect()
}

/// Every file or folder in backticks exists, either at the root or by its last segments in `src` or
/// `program`.
#[test]
fn architecture_names_existing_files() {
    // A published crate has only a part of them.
    if !root().join("program").exists() {
        return;
    }
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the file can be read");
    let code: Vec<PathBuf> = ["src", "program/src"]
        .iter()
        .flat_map(|folder| paths(&root().join(folder)))
        .collect();
    let is_path = |name: &&str| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_./-".contains(c);
        name.chars().all(is_plain)
            && !name.starts_with('/')
            && (name.ends_with(".rs") || name.ends_with(".md") || name.ends_with('/'))
    };
    let named: BTreeSet<&str> = text.split('`').skip(1).step_by(2).filter(is_path).collect();
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !root().join(name).exists() && !code.iter().any(|path| path.ends_with(name)))
        .collect();
    assert!(named.len() > 50, "only {} paths were found", named.len());
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn architecture_explains_at_most_fifteen_words() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the file can be read");
    let rows = text
        .lines()
        .skip_while(|line| *line != "| word | meaning |")
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .count();
    assert!((1..=15).contains(&rows), "{rows} words");
}
