//! The place of a new file, and how its content gets there.

use std::io::{ErrorKind, Read, Write as _};
use std::os::fd::OwnedFd;

use super::UploadError;
use crate::fs::new_file::{Existing, Found, NewFile, Published, available, look_up};
use crate::logging::is_unsafe;

/// Bytes that are read and written at once.
const CHUNK: usize = 64 * 1024;

/// The longest name of most file systems.
const MAX_NAME: usize = 255;

/// A name in an open folder.
#[derive(Debug)]
pub(super) struct Target<'n> {
    pub(super) folder: OwnedFd,
    pub(super) name: &'n [u8],
    pub(super) existing: Existing,
    /// The most bytes of the file.
    pub(super) most: u64,
}

/// A file that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) published: Published,
    pub(super) length: u64,
}

impl Target<'_> {
    /// Fails if a file of this name can't be stored, so that a client need not send it. `length` is its
    /// length, if the client says it.
    pub(super) fn check(&self, length: Option<u64>) -> Result<(), UploadError> {
        check_name(self.name)?;
        match (look_up(&self.folder, self.name)?, self.existing) {
            (Found::Other, _) => return Err(UploadError::NoFile),
            (Found::File, Existing::Keep) => return Err(UploadError::Exists),
            (Found::File, Existing::Replace) | (Found::Nothing, _) => {}
        }
        match (length, available(&self.folder)) {
            (Some(length), _) if length > self.most => {
                Err(UploadError::TooLarge { most: self.most })
            }
            (Some(length), Some(available)) if length > available => Err(UploadError::Full),
            _ => Ok(()),
        }
    }

    /// Stores the content. `check` is called when it is complete, before the file gets its name.
    pub(super) fn store(
        self,
        content: &mut impl Read,
        check: impl FnOnce() -> Result<(), UploadError>,
    ) -> Result<Stored, UploadError> {
        let mut file = NewFile::create(self.folder, self.name)?;
        let length = copy(content, &mut file, self.most)?;
        check()?;
        let published = file.publish(self.name, self.existing)?;
        Ok(Stored { published, length })
    }
}

/// Copies the content, and tells errors of the client from those of the disk.
fn copy(content: &mut impl Read, file: &mut NewFile, most: u64) -> Result<u64, UploadError> {
    let mut buffer = vec![0; CHUNK];
    let mut length = 0;
    loop {
        let count = match content.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(UploadError::of_content(error)),
        };
        length += count as u64;
        if length > most {
            return Err(UploadError::TooLarge { most });
        }
        file.file().write_all(&buffer[..count])?;
    }
}

/// Fails for names that a shell or a terminal would misread, and that are no text.
fn check_name(name: &[u8]) -> Result<(), UploadError> {
    match std::str::from_utf8(name) {
        Ok(name) if name.len() <= MAX_NAME && !name.chars().any(is_unsafe) => Ok(()),
        _ => Err(UploadError::Name),
    }
}
