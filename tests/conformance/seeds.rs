//! Writes the cases of the table as inputs for the fuzz targets, in the formats that
//! `fuzz/README.md` describes.

use std::fs;
use std::path::Path;

use httpool::http1::{Decoder, Event, Input, Progress, RequestBuffer};

use crate::protocol::LIMITS;
use crate::record::Record;

/// Longer cases are skipped. The commands of `fuzz/README.md` allow a little more, for the added
/// first line.
pub(crate) const LONGEST: usize = 2000;

/// Splits for inputs that name theirs in the first line, used in turn.
pub(crate) const SPLITS: [&str; 5] = ["A", "0Q", "?", "abcdef", "~A"];

/// Numbers of written inputs.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) head: usize,
    pub(crate) chunked: usize,
    pub(crate) connection: usize,
    /// Cases that are too long.
    pub(crate) skipped: usize,
}

/// Writes every case into the corpus of each target that accepts it, named after its record and its
/// number there.
pub(crate) fn write(records: &[Record], corpus: &Path) -> Counts {
    let mut counts = Counts::default();
    let cases = records
        .iter()
        .flat_map(|record| (1..).zip(record.cases()).map(move |case| (record, case)));
    for ((record, (number, case)), split) in cases.zip(SPLITS.iter().cycle()) {
        if case.bytes.len() > LONGEST {
            counts.skipped += 1;
            continue;
        }
        let write_input = |target: &str, count: &mut usize, parts: &[&[u8]]| {
            let folder = corpus.join(target);
            fs::create_dir_all(&folder).expect("the corpus folder can be created");
            let file = folder.join(format!("{}-{number}", record.id));
            fs::write(file, parts.concat()).expect("the corpus can be written");
            *count += 1;
        };
        let split = split.as_bytes();
        write_input("head", &mut counts.head, &[&case.bytes]);
        let parts = [split, b"\n", &case.bytes];
        write_input("connection", &mut counts.connection, &parts);
        if let Some(chunks) = chunks(&case.bytes) {
            write_input("chunked", &mut counts.chunked, &[split, b"\n", chunks]);
        }
    }
    counts
}

/// The bytes after the first head with a chunked body.
fn chunks(bytes: &[u8]) -> Option<&[u8]> {
    let (mut decoder, mut buffer, mut input) = (
        Decoder::default(),
        RequestBuffer::default(),
        Input::default(),
    );
    for (byte, at) in bytes.iter().zip(1..) {
        input.extend(&[*byte]);
        loop {
            match decoder.decode(&mut input, &mut buffer, &LIMITS) {
                // Only a body of known length has its own buffer.
                Ok(Event::Continue | Event::Incomplete(Progress::Body))
                    if decoder.body_room().is_none() =>
                {
                    return Some(&bytes[at..]);
                }
                Ok(Event::Incomplete(_)) => break,
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
    None
}
