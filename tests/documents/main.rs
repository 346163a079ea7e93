//! The documents name only what exists, their code works as it is copied, and every public item has
//! an example.

mod blocks;
mod pasted;
mod serving;

use std::fs;
use std::path::{Path, PathBuf};

/// The file that contains the tests of a module, and the line that begins the test `name`.
fn home(module: &str, name: &str) -> (PathBuf, String) {
    let tests = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("tests");
    let declared = format!("fn {name}(");
    let file = match module {
        "properties" => tests.join("properties/main.rs"),
        module => {
            let path = module.replace("::", "/");
            let suites = ["it", "program"].map(|suite| tests.join(suite).join(&path));
            let files = suites.map(|module| [module.with_extension("rs"), module.join("mod.rs")]);
            let files = files.concat();
            let declares = |file: &&PathBuf| {
                fs::read_to_string(file).is_ok_and(|text| text.contains(&declared))
            };
            let found = files.iter().find(declares);
            found.unwrap_or(&files[0]).clone()
        }
    };
    (file, declared)
}

/// The file of a topic of the conformance table, and the line that names the record.
fn record(topic: &str, id: &str) -> (PathBuf, String) {
    let tests = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("tests");
    let file = tests.join("conformance").join(topic).with_extension("toml");
    (file, format!("id = \"{id}\""))
}

fn file_stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

#[test]
fn tests_named_in_the_documents_exist() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("docs/wire.md");
    let document = fs::read_to_string(path).expect("the document exists");
    let rows = document.lines().filter(|line| line.starts_with("| "));
    let columns = rows.filter_map(|row| row.split(" | ").nth(1));
    let mut named = 0;
    for column in columns {
        // The text between backticks.
        for name in column.split('`').skip(1).step_by(2) {
            let (file, line) = match (name.rsplit_once("::"), name.split_once(": ")) {
                (Some((module, test)), _) => home(module, test),
                (None, Some((topic, id))) => record(topic, id),
                // A whole topic.
                (None, None) => record(name, ""),
            };
            let text = fs::read_to_string(&file);
            let text = text.unwrap_or_else(|error| panic!("{name}: {}: {error}", file.display()));
            let is_topic = name.rsplit('/').next() == Some(&*file_stem(&file));
            let is_there = is_topic || text.contains(&line);
            assert!(is_there, "{name} is not a test");
            named += 1;
        }
    }
    assert!(named > 80, "only {named} names were found");
}

/// The name of the public item that this line declares. Clippy ensures that nothing else is `pub`
/// (`unreachable_pub`). Indented items are skipped: the example of their parent shows them.
fn item(line: &str) -> Option<&str> {
    const KINDS: [&str; 6] = ["const", "enum", "fn", "struct", "trait", "type"];
    let (kind, rest) = line.strip_prefix("pub ")?.split_once(' ')?;
    let name = rest.split(|character: char| !character.is_alphanumeric() && character != '_');
    KINDS.contains(&kind).then(|| name.into_iter().next())?
}

/// The Rust files in a folder, without modules that are hidden from the documentation.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    const HIDDEN: [&str; 4] = ["form_data", "head", "http1", "http2"];
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("the file can be read").path();
        if path.is_dir() && !HIDDEN.contains(&&*file_stem(&path)) {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_public_item_has_an_example() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("src");
    let (mut files, mut items, mut without) = (Vec::new(), 0, Vec::new());
    sources(&folder, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("the file can be read");
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let Some(name) = item(line) else { continue };
            items += 1;
            // Its documentation and attributes, up to the empty line before them.
            let above = lines[..number].iter().rev();
            let mut above = above.take_while(|line| !line.is_empty());
            if !above.any(|line| line.ends_with("```")) {
                without.push(format!("{name} ({}:{})", file.display(), number + 1));
            }
        }
    }
    assert!(items > 60, "only {items} items were found");
    assert!(without.is_empty(), "no example: {}", without.join(", "));
}

#[test]
fn every_public_module_starts_with_an_example() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("src");
    let library = fs::read_to_string(folder.join("lib.rs")).expect("the file exists");
    let declared = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "));
    let named = declared.filter_map(|rest| rest.strip_suffix(';'));
    let mut modules = 0;
    for name in named.filter(|name| !["form_data", "http1", "http2"].contains(name)) {
        let text = fs::read_to_string(folder.join(name).join("mod.rs"))
            .or_else(|_| fs::read_to_string(folder.join(name).with_extension("rs")));
        let text = text.unwrap_or_else(|error| panic!("{name}: {error}"));
        let is_shown = text.lines().any(|line| line.starts_with("//! ```"));
        assert!(is_shown, "{name} has no example");
        modules += 1;
    }
    assert!(modules >= 3, "only {modules} modules were found");
}

/// The documents that Git tracks in a folder and below it.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folders = [
        "",
        "docs",
        "benches",
        "fuzz",
        "tests/clients",
        "tests/conformance",
        "tests/conformance/http2",
    ];
    let entries = folders
        .into_iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).expect("the folder can be listed"));
    let paths = entries.map(|entry| entry.expect("the entry can be read").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

#[test]
fn links_between_documents_resolve() {
    let mut links = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("the document can be read");
        let folder = document.parent().expect("the path has a parent");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains(':') || target.contains(' ') {
                continue;
            }
            links += 1;
            let path = folder.join(target);
            assert!(path.exists(), "{}: {link}", document.display());
        }
    }
    assert!(links > 40, "only {links} links were found");
}
