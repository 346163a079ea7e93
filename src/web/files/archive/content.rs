//! The content of a file in an archive.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;

/// A file of which as many bytes are read as it had when it was opened.
#[derive(Debug)]
pub(super) struct Content {
    file: File,
    left: u64,
}

impl Content {
    pub(super) fn new(file: File, length: u64) -> Self {
        Self { file, left: length }
    }

    /// Reads some bytes. Zero say that the file is complete.
    ///
    /// # Errors
    ///
    /// If it can't be read, or is shorter than it was.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        match self.file.read(&mut buffer[..most])? {
            0 => {
                let reason = format!("a file of the archive is {} bytes shorter now", self.left);
                Err(io::Error::new(ErrorKind::UnexpectedEof, reason))
            }
            count => {
                self.left -= count as u64;
                Ok(count)
            }
        }
    }
}

/// The permissions of a file or a folder in an archive: its owner's executable bit is kept.
pub(super) fn permissions(metadata: &Metadata) -> u32 {
    if metadata.is_dir() || metadata.mode() & 0o100 != 0 {
        0o755
    } else {
        0o644
    }
}

/// The modification time in seconds since the epoch. Earlier times become the epoch.
pub(super) fn modified(metadata: &Metadata) -> u64 {
    u64::try_from(metadata.mtime()).unwrap_or_default()
}
