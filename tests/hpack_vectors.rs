//! Decodes header blocks that other implementations encoded: the published vectors of
//! `http2jp/hpack-test-case`, which the package of httlib-hpack contains.

use std::env;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use httpool::http2::hpack::Decoder;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The blocks of one connection, in their order.
#[derive(Deserialize)]
struct Story {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    /// A limit of the dynamic table that applies from this block on.
    header_table_size: Option<u16>,
    /// The block in hexadecimal digits.
    wire: String,
    /// Maps with one entry each.
    headers: Vec<Map<String, Value>>,
}

/// The folder of a dependency's sources.
fn sources_of(name: &str) -> PathBuf {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--locked", "--offline", "--format-version=1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata are JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    let package = packages.iter().find(|package| package["name"] == name);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = Path::new(manifest.expect("it is a dependency"));
    manifest.with_file_name("")
}

fn bytes(digits: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| {
        let pair = str::from_utf8(pair).expect("digits are ASCII");
        u8::from_str_radix(pair, 16).expect("two digits are a byte")
    };
    digits.as_bytes().chunks(2).map(byte).collect()
}

fn check(file: &Path) -> usize {
    let text = fs::read(file).expect("the file can be read");
    let story: Story = serde_json::from_slice(&text).expect("a story is JSON");
    let mut decoder = Decoder::default();
    for (number, case) in story.cases.iter().enumerate() {
        if let Some(size) = case.header_table_size {
            decoder.set_table_limit(size);
        }
        let mut decoded = Vec::new();
        let block = bytes(&case.wire);
        let result = decoder.decode(&block, &mut Vec::new(), 1024 * 1024, |field| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            decoded.push((text(field.name), text(field.value)));
            ControlFlow::<()>::Continue(())
        });
        let expected = case.headers.iter().flatten().map(|(name, value)| {
            let value = value.as_str().expect("values are text");
            (name.clone(), value.to_owned())
        });
        let place = format!("block {number} of {}", file.display());
        assert_eq!(result, Ok(ControlFlow::Continue(())), "{place}");
        assert_eq!(decoded, expected.collect::<Vec<_>>(), "{place}");
    }
    story.cases.len()
}

#[test]
fn blocks_of_other_encoders_are_decoded() {
    let fixtures = sources_of("httlib-hpack").join("fixtures");
    let (mut files, mut blocks) = (0, 0);
    for folder in fs::read_dir(fixtures).expect("the package has fixtures") {
        let folder = folder.expect("folders are listed").path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder).expect("the folder can be listed") {
            let file = file.expect("files are listed").path();
            if file
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files += 1;
                blocks += check(&file);
            }
        }
    }
    println!("{blocks} blocks in {files} files");
    assert!(files > 400, "{files} files");
}
