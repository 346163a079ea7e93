//! The conformance table: what this server answers to which bytes, and why.
//!
//! The cases are data, one TOML file a topic; `README.md` beside them explains a record. This
//! driver sends each to the protocol alone, whole, cut in two at every place and byte by byte,
//! and to a server over a socket, and expects the same answers every time.

mod answer;
mod handler;
mod protocol;
mod record;
mod seeds;
mod server;

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use record::{Case, Record};
use seeds::Written;
use server::Server;

/// The fewest records that the table may have: a file that is lost by mistake is noticed.
const AT_LEAST: usize = 300;

/// Every file is run by the test of its name.
macro_rules! topics {
    ($($topic:ident),+ $(,)?) => {
        const TOPICS: &[&str] = &[$(stringify!($topic)),+];
        $(
            #[test]
            fn $topic() {
                run(stringify!($topic));
            }
        )+
    };
}

topics![
    request_line,
    fields,
    host,
    framing,
    chunked,
    persistence,
    expect,
    responses,
    smuggling,
    wire,
];

#[test]
fn conformance_records_are_complete() {
    let files = fs::read_dir(folder()).expect("the table is there");
    let mut topics: Vec<_> = files
        .filter_map(|file| {
            let path = file.expect("the folder can be listed").path();
            let is_topic = path.extension().is_some_and(|end| end == "toml");
            is_topic.then(|| path.file_stem().map(ToOwned::to_owned))?
        })
        .collect();
    let mut known = TOPICS.to_vec();
    topics.sort();
    known.sort_unstable();
    assert_eq!(topics, known, "every file has its test");

    let records = all();
    let mut ids = HashSet::new();
    for record in &records {
        assert!(
            ids.insert(&record.id),
            "two records are called {}",
            record.id
        );
    }
    let cases: usize = records.iter().map(|record| record.cases().len()).sum();
    say(&format!(
        "the table: {} records, {cases} cases",
        records.len()
    ));
    assert!(records.len() >= AT_LEAST, "records are missing");
}

/// Writes the corpus that fuzzing goes on from, into `FUZZ_CORPUS` if that is set.
#[test]
#[ignore = "writes files for the fuzz targets; fuzz/README.md says when"]
fn write_fuzzer_seeds() {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let corpus = env::var_os("FUZZ_CORPUS").map_or(usual, PathBuf::from);
    let Written {
        head,
        chunked,
        connection,
        left_out,
    } = seeds::write(&all(), &corpus);
    say(&format!(
        "the fuzzer: {head} inputs for head, {chunked} for chunked, {connection} for connection; \
         {left_out} cases are too long"
    ));
    assert!(chunked > 0, "no case has chunks");
}

/// Runs all cases of one file, and tells of all that fail.
fn run(topic: &str) {
    let records = record::read(&file(topic));
    let server = Server::start();
    let (mut cases, mut exchanges, mut failures) = (0, 0, Vec::new());
    for record in &records {
        for case in record.cases() {
            cases += 1;
            match check(record, &case, &server) {
                Ok(ways) => exchanges += ways,
                Err(failure) => failures.push(format!(
                    "{} (RFC {}) {}\n  sent: {}\n  {failure}\n",
                    record.id,
                    record.rfc,
                    record.why,
                    case.bytes.escape_ascii()
                )),
            }
        }
    }
    server.stop();
    say(&format!(
        "{topic}: {} records, {cases} cases, {exchanges} exchanges",
        records.len()
    ));
    assert!(
        failures.is_empty(),
        "{} of {cases} cases fail:\n\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Sends one case in every way. How many those were, or what the first that failed is about.
fn check(record: &Record, case: &Case, server: &Server) -> Result<usize, String> {
    let ways = case.ways();
    for (way, parts) in &ways {
        protocol::converse(parts)
            .and_then(|outcome| answer::check_protocol(record, parts, &outcome))
            .map_err(|failure| format!("the protocol, {way}: {failure}"))?;
    }
    server
        .converse(record, case)
        .and_then(|received| answer::check_socket(record, &received))
        .map_err(|failure| format!("over a socket: {failure}"))?;
    Ok(ways.len() + 1)
}

fn all() -> Vec<Record> {
    TOPICS
        .iter()
        .flat_map(|topic| record::read(&file(topic)))
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

fn file(topic: &str) -> PathBuf {
    folder().join(topic).with_extension("toml")
}

/// Past the test harness, which keeps to itself what a passing test prints.
fn say(line: &str) {
    // Nobody can do anything about a closed standard error.
    let _ = writeln!(io::stderr().lock(), "{line}");
}
