//! Digests of file contents, cached while a file is unchanged.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::sync::{Mutex, MutexGuard};

use sha2::{Digest as _, Sha256};

use super::validators::FileState;
use crate::fs::shared_file::SharedFile;
use crate::sync::ignore_poison;
use crate::web::EntityTags;

/// Largest file that is read for its entity tag. Reading it occupies a worker for about a tenth of
/// a second.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Most digests that are cached, a few megabytes. A full cache is cleared.
const MAX_CACHED: usize = 16 * 1024;

/// The bytes of a digest that the tag shows.
const DIGEST_LENGTH: usize = 16;

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// The kind of entity tags, and the cached digests.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    pub(crate) kind: EntityTags,
    cached: Mutex<HashMap<FileState, [u8; DIGEST_LENGTH]>>,
}

impl Digests {
    /// Whether tags are made of the metadata alone.
    pub(crate) fn are_of_metadata(&self) -> bool {
        self.kind != EntityTags::Content
    }

    /// The digest of a file whose times would show a change. It is cached.
    pub(crate) fn cached(&self, state: &FileState, file: &SharedFile) -> Option<String> {
        let cached = self.lock().get(state).copied();
        if let Some(digest) = cached {
            return Some(hex(digest));
        }
        let digest = digest(state, file)?;
        let mut cached = self.lock();
        if cached.len() >= MAX_CACHED {
            cached.clear();
        }
        cached.insert(*state, digest);
        Some(hex(digest))
    }

    /// The digest of a file that may change again without a change of its times. It is not cached.
    pub(crate) fn uncached(state: &FileState, file: &SharedFile) -> Option<String> {
        digest(state, file).map(hex)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FileState, [u8; DIGEST_LENGTH]>> {
        ignore_poison(self.cached.lock())
    }
}

fn digest(state: &FileState, file: &SharedFile) -> Option<[u8; DIGEST_LENGTH]> {
    if state.size() > MAX_FILE {
        return None;
    }
    read(file, state.size())
        .inspect_err(|error| log::debug!("can't read a file for its entity tag: {error}"))
        .ok()
}

/// Reads `size` bytes and ignores anything that is appended meanwhile.
fn read(file: &SharedFile, size: u64) -> io::Result<[u8; DIGEST_LENGTH]> {
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
    let mut digest = [0; DIGEST_LENGTH];
    digest.copy_from_slice(&hasher.finalize()[..DIGEST_LENGTH]);
    Ok(digest)
}

fn hex(digest: [u8; DIGEST_LENGTH]) -> String {
    let mut text = String::with_capacity(2 * DIGEST_LENGTH);
    for byte in digest {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a string can't fail");
    }
    text
}
