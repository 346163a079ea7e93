//! Digests of files' contents, which are kept while the files stay as they are.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, MutexGuard};

use sha2::{Digest as _, Sha256};

use super::validators::State;
use crate::sync::ignore_poison;
use crate::web::EntityTags;

/// The largest file that is read for its tag: it takes a worker's time, a tenth of a second or so.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Most digests that are kept, which is some megabytes. More are taken again.
const MOST: usize = 16 * 1024;

/// Bytes of a digest that a tag has.
const LENGTH: usize = 16;

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// What entity tags are made of, and the digests that are known.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    pub(crate) basis: EntityTags,
    known: Mutex<HashMap<State, [u8; LENGTH]>>,
}

impl Digests {
    /// That of a file whose times would tell a change.
    pub(crate) fn settled(&self, state: &State, file: &File) -> Option<String> {
        let known = self.lock().get(state).copied();
        if let Some(digest) = known {
            return Some(written(digest));
        }
        let digest = digest(state, file)?;
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(*state, digest);
        Some(written(digest))
    }

    /// That of a file that may change without its times telling so.
    pub(crate) fn young(state: &State, file: &File) -> Option<String> {
        digest(state, file).map(written)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<State, [u8; LENGTH]>> {
        ignore_poison(self.known.lock())
    }
}

fn digest(state: &State, file: &File) -> Option<[u8; LENGTH]> {
    if state.size() > LARGEST {
        return None;
    }
    read(file, state.size())
        .inspect_err(|error| log::debug!("no digest of a file for its entity tag: {error}"))
        .ok()
}

/// Reads as much as the file had: what is appended meanwhile is not waited for.
fn read(file: &File, size: u64) -> io::Result<[u8; LENGTH]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut from = 0;
    while from < size {
        let count = match file.read_at(&mut buffer, from) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        from += count as u64;
    }
    let mut digest = [0; LENGTH];
    digest.copy_from_slice(&hasher.finalize()[..LENGTH]);
    Ok(digest)
}

fn written(digest: [u8; LENGTH]) -> String {
    let mut text = String::with_capacity(2 * LENGTH);
    for byte in digest {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a string can't fail");
    }
    text
}
