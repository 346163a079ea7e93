//! The conformance table of HTTP/2: the frames of this server in response to given frames, with
//! reasons.
//!
//! The cases are data, one TOML file per topic; `README.md` in this folder explains a record. Each
//! case is passed to the protocol alone, its bytes whole, split in two at every position and byte by
//! byte, and sent to a server over a socket. The frames must be the same every time.

mod client;
mod expected;
mod line;
mod protocol;
mod received;
mod record;
mod scripted;
mod socket;
mod splits;
pub(crate) mod transport;
/// The writer of frames that the client of other tests has, too.
#[path = "../../support/http2/wire.rs"]
mod wire;
mod words;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use httpool::http2::PREFACE;

use self::record::{Case, Place, Record};
use self::splits::Split;
use self::transport::Transport;
use crate::print_line;
use crate::seeds::{LONGEST, SPLITS};
use crate::server::Server;

/// Smallest number of records, so that a lost file is noticed.
const MIN_RECORDS: usize = 250;

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
    preface,
    frames,
    settings,
    ping,
    goaway,
    flow_control,
    streams,
    continuation,
    hpack,
    priority,
    requests,
    malformed,
    content,
    responses,
    shutdown,
    abuse,
    websocket,
];

#[test]
fn records_of_http2_are_complete() {
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

    let mut ids = HashSet::new();
    let mut cases = 0;
    for record in TOPICS.iter().flat_map(|topic| record::read(&file(topic))) {
        cases += record.cases().len();
        let id = record.id;
        assert!(ids.insert(id.clone()), "duplicate record id: {id}");
    }
    let records = ids.len();
    print_line(&format!(
        "the table of HTTP/2: {records} records, {cases} cases"
    ));
    assert!(records >= MIN_RECORDS, "records are missing");
}

/// Runs all cases of a file and reports all failures.
fn run(topic: &str) {
    let records = record::read(&file(topic));
    let server = Server::start_http2();
    let (mut cases, mut runs, mut failures) = (0, 0, Vec::new());
    for record in &records {
        for case in record.cases() {
            cases += 1;
            match check(record, &case, &server) {
                Ok(splits) => runs += splits,
                Err(failure) => failures.push(format!(
                    "{} (RFC {}) {}\n{}\n  {failure}\n",
                    record.id, record.rfc, record.reason, case.text
                )),
            }
        }
    }
    server.stop();
    print_line(&format!(
        "http2/{topic}: {} records, {cases} cases, {runs} runs",
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
    let mut runs = 0;
    if record.only != Some(Place::Socket) {
        let mut events = None;
        for split in Split::all(case) {
            runs += 1;
            let got = protocol::run(case, record.after, split)
                .map_err(|failure| format!("the protocol, {split:?}: {failure}"))?;
            let expected = events.get_or_insert_with(|| got.clone());
            if *expected != got {
                return Err(format!(
                    "{split:?}: the events are {got:?}, not {expected:?}"
                ));
            }
        }
    }
    if record.only != Some(Place::Protocol) {
        for transport in [Transport::Tcp, Transport::Tls] {
            if socket::fits(case, transport) {
                runs += 1;
                socket::run(case, record.after, server, transport)
                    .map_err(|failure| format!("over {transport:?}: {failure}"))?;
            }
        }
    }
    Ok(runs)
}

/// The fuzz targets whose inputs are a first line and the frames of a client.
const FUZZ_TARGETS: [&str; 2] = ["frames", "http2_connection"];

/// Writes the frames of every case that is short enough into the corpus of each target that accepts
/// them, named after its record and its number there. Returns how many cases there are.
pub(crate) fn write_seeds(corpus: &Path) -> usize {
    let folders = FUZZ_TARGETS.map(|target| corpus.join(target));
    for folder in &folders {
        fs::create_dir_all(folder).expect("the corpus folder can be created");
    }
    let records = TOPICS.iter().flat_map(|topic| record::read(&file(topic)));
    let mut splits = SPLITS.iter().cycle();
    let mut written = 0;
    for record in records {
        for (number, case) in (1..).zip(record.cases()) {
            let bytes = case.steps.iter().flat_map(|step| step.bytes.clone());
            let bytes: Vec<u8> = bytes.collect();
            let frames = bytes.strip_prefix(&PREFACE);
            let frames = frames.filter(|frames| frames.len() <= LONGEST);
            let (Some(frames), Some(split)) = (frames, splits.next()) else {
                continue;
            };
            let input = [split.as_bytes(), b"\n", frames].concat();
            for folder in &folders {
                let file = folder.join(format!("{}-{number}", record.id));
                fs::write(file, &input).expect("the corpus can be written");
            }
            written += 1;
        }
    }
    written
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/http2")
}

fn file(topic: &str) -> PathBuf {
    folder().join(topic).with_extension("toml")
}
