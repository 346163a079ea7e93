//! The conformance table: the responses of this server to given bytes, with reasons.
//!
//! The cases are data, one TOML file per topic; `README.md` in this folder explains a record. Each
//! case is passed to the protocol alone, whole, split in two at every position and byte by byte,
//! and sent to a server over a socket. The responses must be the same every time.

mod handler;
mod http2;
mod protocol;
mod record;
mod response;
mod seeds;
mod server;

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use record::{Case, Record};
use seeds::Counts;
use server::Server;

/// Smallest number of records, so that a lost file is noticed.
const MIN_RECORDS: usize = 300;

/// Each file has a test of the same name.
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
    headers,
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
    let files = fs::read_dir(folder()).expect("the folder can be read");
    let mut topics: Vec<_> = files
        .filter_map(|file| {
            let path = file.expect("the folder can be listed").path();
            let is_table = path.extension().is_some_and(|end| end == "toml");
            is_table.then(|| path.file_stem().map(ToOwned::to_owned))?
        })
        .collect();
    let mut known = TOPICS.to_vec();
    topics.sort();
    known.sort_unstable();
    assert_eq!(topics, known, "every file has a test");

    let records = all();
    let mut ids = HashSet::new();
    for record in &records {
        assert!(ids.insert(&record.id), "duplicate record id: {}", record.id);
    }
    let cases: usize = records.iter().map(|record| record.cases().len()).sum();
    print_line(&format!(
        "the table: {} records, {cases} cases",
        records.len()
    ));
    assert!(records.len() >= MIN_RECORDS, "records are missing");
}

/// Writes the corpus for the fuzz targets into `FUZZ_CORPUS`, or into `fuzz/corpus`.
#[test]
#[ignore = "writes files for the fuzz targets; fuzz/README.md says when"]
fn write_fuzzer_seeds() {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let corpus = env::var_os("FUZZ_CORPUS").map_or(default, PathBuf::from);
    let Counts {
        head,
        chunked,
        connection,
        skipped,
    } = seeds::write(&all(), &corpus);
    let frames = http2::write_seeds(&corpus);
    print_line(&format!(
        "the fuzzer: {head} inputs for head, {chunked} for chunked, {connection} for connection, \
         {frames} for frames and http2_connection; {skipped} cases are too long"
    ));
    assert!(chunked > 0, "no case has chunks");
}

/// Runs all cases of a file and reports all failures.
fn run(topic: &str) {
    let records = record::read(&file(topic));
    let (server, http1_only) = (Server::start_http2(), Server::start());
    let (mut cases, mut runs, mut failures) = (0, 0, Vec::new());
    for record in &records {
        let server = match record.http1_only {
            true => &http1_only,
            false => &server,
        };
        for case in record.cases() {
            cases += 1;
            match check(record, &case, server) {
                Ok(splits) => runs += splits,
                Err(failure) => failures.push(format!(
                    "{} (RFC {}) {}\n  sent: {}\n  {failure}\n",
                    record.id,
                    record.rfc,
                    record.reason,
                    case.bytes.escape_ascii()
                )),
            }
        }
    }
    server.stop();
    http1_only.stop();
    print_line(&format!(
        "{topic}: {} records, {cases} cases, {runs} runs",
        records.len()
    ));
    assert!(
        failures.is_empty(),
        "{} of {cases} cases failed:\n\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Runs one case in every split. Returns the number of runs, or the first failure.
fn check(record: &Record, case: &Case, server: &Server) -> Result<usize, String> {
    let splits = case.splits();
    for (split, parts) in &splits {
        protocol::run(parts)
            .and_then(|outcome| response::check_protocol(record, parts, &outcome))
            .map_err(|failure| format!("the protocol, {split}: {failure}"))?;
    }
    server
        .run(record, case)
        .and_then(|received| response::check_socket(record, &received))
        .map_err(|failure| format!("over a socket: {failure}"))?;
    Ok(splits.len() + 1)
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

/// Prints a line even for a passing test, whose output the test harness captures.
fn print_line(line: &str) {
    // A closed standard error is ignored.
    let _ = writeln!(io::stderr().lock(), "{line}");
}
