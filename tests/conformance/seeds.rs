//! The cases of the table as inputs for the fuzz targets, in the forms that `fuzz/README.md`
//! explains.

use std::fs;
use std::path::Path;

use httpool::http1::{Decoder, Event, Input, Progress, RequestBuffer};

use crate::protocol::LIMITS;
use crate::record::Record;

/// A case longer than this is left out. The commands of `fuzz/README.md` allow a little more, for
/// the line that is put before it.
const LONGEST: usize = 2000;

/// How inputs are cut that say so in their first line, one after another.
const CUTS: [&str; 5] = ["A", "0Q", "?", "abcdef", "~A"];

/// How many inputs were written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) head: usize,
    pub(crate) chunked: usize,
    pub(crate) connection: usize,
    /// Cases that are too long.
    pub(crate) left_out: usize,
}

/// Writes every case into the corpus of each target that can take it, named by its record and its
/// number there.
pub(crate) fn write(records: &[Record], corpus: &Path) -> Written {
    let mut written = Written::default();
    let cases = records
        .iter()
        .flat_map(|record| (1..).zip(record.cases()).map(move |case| (record, case)));
    for ((record, (number, case)), aborted) in cases.zip(CUTS.iter().cycle()) {
        if case.bytes.len() > LONGEST {
            written.left_out += 1;
            continue;
        }
        let put = |target: &str, count: &mut usize, parts: &[&[u8]]| {
            let folder = corpus.join(target);
            fs::create_dir_all(&folder).expect("the corpus can be made");
            let file = folder.join(format!("{}-{number}", record.id));
            fs::write(file, parts.concat()).expect("the corpus can be written");
            *count += 1;
        };
        let aborted = aborted.as_bytes();
        put("head", &mut written.head, &[&case.bytes]);
        let parts = [aborted, b"\n", &case.bytes];
        put("connection", &mut written.connection, &parts);
        if let Some(chunks) = chunks(&case.bytes) {
            put("chunked", &mut written.chunked, &[aborted, b"\n", chunks]);
        }
    }
    written
}

/// What follows the first head that announces chunks.
fn chunks(bytes: &[u8]) -> Option<&[u8]> {
    let (mut decoder, mut slot, mut input) = (
        Decoder::default(),
        RequestBuffer::default(),
        Input::default(),
    );
    for (byte, at) in bytes.iter().zip(1..) {
        input.extend(&[*byte]);
        loop {
            match decoder.decode(&mut input, &mut slot, &LIMITS) {
                // Only a body of known length has a room of its own.
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
