//! ZIP archives.

use std::fmt::Write as _;
use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;

use time::OffsetDateTime;
use zip::write::{FullFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::Names;
use super::content::{Content, modified, permissions};
use super::tree::{Entry, Tree};
use crate::fs::folder::OpenError;
use crate::sync::{Mutex, ignore_poison};

/// Bytes of a file that are compressed at once.
const CHUNK: usize = 32 * 1024;

/// From this size on, the sizes of a file have 64 bits. Content that can't be compressed becomes a little
/// longer.
const LARGE: u64 = 0xf000_0000;

/// The header of the extra field with a modification time in UTC. The other time of an entry has no zone.
const TIMESTAMP: u16 = 0x5455;

/// The compression level. Files that are compressed already are in the same coding, because programs that
/// read an archive from a pipe find no end of others.
const FASTEST: i64 = 1;

/// Makes an archive while it is read.
pub(super) struct ZipReader {
    tree: Tree,
    names: Names,
    /// `None` after the end.
    writer: Option<ZipWriter<StreamWriter<Output>>>,
    output: Output,
    /// The output that is being read, up to this position sent.
    ready: Vec<u8>,
    sent: usize,
    file: Option<Content>,
    chunk: Box<[u8]>,
}

/// The bytes that the writer has written.
#[derive(Debug, Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        ignore_poison(self.0.lock()).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ZipReader {
    /// An archive of this tree.
    pub(super) fn new(tree: Tree, names: Names) -> Self {
        let output = Output::default();
        Self {
            tree,
            names,
            writer: Some(ZipWriter::new_stream(output.clone())),
            output,
            ready: Vec::new(),
            sent: 0,
            file: None,
            chunk: vec![0; CHUNK].into(),
        }
    }

    /// Writes more to the output, if the archive is not complete.
    fn advance(&mut self) -> io::Result<()> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        if let Some(file) = &mut self.file {
            match file.read(&mut self.chunk)? {
                0 => self.file = None,
                count => writer.write_all(&self.chunk[..count])?,
            }
            return Ok(());
        }
        let Some(Entry { path, metadata }) = self.tree.next()? else {
            if let Some(writer) = self.writer.take() {
                writer.finish()?;
            }
            return Ok(());
        };
        let name = text(&self.names.of(&path));
        if metadata.is_dir() {
            writer.add_directory(name, options(&metadata)?)?;
            return Ok(());
        }
        match self.tree.root().open_once(&path) {
            Ok((file, metadata)) => {
                writer.start_file(name, options(&metadata)?)?;
                self.file = Some(Content::new(file, metadata.len()));
                Ok(())
            }
            // It has vanished.
            Err(OpenError::NotFound | OpenError::Forbidden) => Ok(()),
            Err(OpenError::Busy(error) | OpenError::Failed(error)) => Err(error),
        }
    }
}

impl Read for ZipReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let mut ready = &self.ready[self.sent..];
            if !ready.is_empty() {
                let count = ready.read(buffer)?;
                self.sent += count;
                return Ok(count);
            }
            self.ready.clear();
            self.sent = 0;
            // Many small files fill one read, so that each does not become a chunk of its own.
            while self.output.length() < buffer.len() && self.writer.is_some() {
                self.advance()?;
            }
            mem::swap(&mut self.ready, &mut *ignore_poison(self.output.0.lock()));
            if self.ready.is_empty() {
                return Ok(0);
            }
        }
    }
}

impl Output {
    fn length(&self) -> usize {
        ignore_poison(self.0.lock()).len()
    }
}

fn options(metadata: &Metadata) -> io::Result<FullFileOptions<'static, 'static>> {
    let modified = modified(metadata);
    let mut options = FullFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(FASTEST))
        .unix_permissions(permissions(metadata))
        .large_file(metadata.len() >= LARGE);
    if let Some(time) = dos_time(modified) {
        options = options.last_modified_time(time);
    }
    if let Ok(seconds) = u32::try_from(modified) {
        let field = [&[1], &seconds.to_le_bytes()[..]].concat();
        options.add_extra_field(TIMESTAMP, field, false)?;
    }
    Ok(options)
}

/// The time in UTC. The format has years from 1980 to 2107.
fn dos_time(seconds: u64) -> Option<DateTime> {
    let seconds = i64::try_from(seconds).ok()?;
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let year = u16::try_from(time.year()).ok()?;
    DateTime::from_date_and_time(
        year,
        time.month().into(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
    )
    .ok()
}

/// The name as text, without bytes that programs on other systems misread. A name that has such a byte also
/// has its percent signs encoded, so that two names stay different.
fn text(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(name) if !name.contains('\\') => name.to_owned(),
        _ => encoded(name),
    }
}

fn encoded(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len() + 8);
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' | '%' => push_encoded(character as u8, &mut text),
                _ => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            push_encoded(*byte, &mut text);
        }
    }
    text
}

fn push_encoded(byte: u8, text: &mut String) {
    let written = write!(text, "%{byte:02X}");
    debug_assert!(written.is_ok(), "writing to a String can't fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_without_backslashes() {
        for (name, expected) in [
            (&b"files/a b%.txt"[..], "files/a b%.txt"),
            ("files/é".as_bytes(), "files/é"),
            (b"files/..\\..\\a%b", "files/..%5C..%5Ca%25b"),
            (b"files/\xffa", "files/%FFa"),
        ] {
            assert_eq!(text(name), expected);
        }
    }

    #[test]
    fn times_outside_of_the_format_are_left_out() {
        assert!(dos_time(0).is_none());
        assert!(dos_time(1_700_000_000).is_some());
        assert!(dos_time(u64::MAX).is_none());
    }
}
