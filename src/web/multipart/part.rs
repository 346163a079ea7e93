//! One part of a form while it arrives.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::ops::Deref;
use std::path::Path;

use bytes::Bytes;

use super::save::{self, Existing};
use super::source::Source;
use super::{FileBytes, MultipartError, TempFile};
use crate::form_data::PartHead;

/// A part of a form: its [name and headers](PartHead), and a reader of its content.
///
/// The content arrives while it is read. Unread content is skipped by
/// [`Multipart::next_part`](super::Multipart::next_part).
///
/// ```
/// use std::io::{self, Read};
///
/// use httpool::multipart::{Multipart, MultipartError};
///
/// fn count(mut form: Multipart) -> Result<String, MultipartError> {
///     let mut counts = String::new();
///     while let Some(mut part) = form.next_part()? {
///         let count = io::copy(&mut part, &mut io::sink())?;
///         counts.push_str(&format!("{}: {count} bytes\n", part.name()));
///     }
///     Ok(counts)
/// }
/// ```
pub struct Part<'m> {
    source: &'m mut Source,
    head: Box<PartHead>,
}

impl<'m> Part<'m> {
    pub(super) fn new(source: &'m mut Source, head: Box<PartHead>) -> Self {
        Self { source, head }
    }

    /// The rest of the content, in memory.
    ///
    /// # Errors
    ///
    /// If the parts that were read into memory exceed
    /// [`MultipartLimits::IN_MEMORY`](super::MultipartLimits::IN_MEMORY), or if the body is malformed or
    /// does not arrive.
    pub fn bytes(mut self) -> Result<Bytes, MultipartError> {
        self.read_bytes()
    }

    fn read_bytes(&mut self) -> Result<Bytes, MultipartError> {
        let mut bytes = Vec::new();
        loop {
            let content = self.content()?;
            let count = content.len();
            if count == 0 {
                return Ok(bytes.into());
            }
            bytes.extend_from_slice(content);
            let reserved = self.source.reserve_memory(count);
            reserved.map_err(|error| error.in_part(self.head.name()))?;
            self.source.consume(count);
        }
    }

    /// The rest of the content, in memory, as text.
    ///
    /// # Errors
    ///
    /// As for [`bytes`](Self::bytes), and if the content is not UTF-8. A charset that the part's
    /// content type names is accepted if it is UTF-8 or the content is ASCII.
    pub fn text(mut self) -> Result<String, MultipartError> {
        let bytes = self.read_bytes()?;
        let name = self.head.name();
        if self.head.has_other_charset() && !bytes.is_ascii() {
            let reason = format!("{name:?} has another charset than UTF-8");
            return Err(MultipartError::Encoding(reason));
        }
        String::from_utf8(bytes.into())
            .map_err(|_| MultipartError::Malformed(format!("{name:?} is not UTF-8")))
    }

    /// Writes the rest of the content to a new file, and returns the number of bytes.
    ///
    /// The content is written to a hidden file beside it, which gets the name when the part is complete.
    /// If the upload ends early or the disk is full, nothing is left. The file has the permissions of
    /// any new file. It may be lost if the machine fails within seconds, because it is not
    /// synchronised with the disk. Use a path of your own, or [`PartHead::safe_file_name`] in a folder
    /// of your own.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Exists`] if there is a file of that name, which stays as it is. Otherwise if
    /// the body is malformed or does not arrive, or if the file can't be written.
    pub fn save_to(&mut self, path: impl AsRef<Path>) -> Result<u64, MultipartError> {
        save::write(path.as_ref(), Existing::Keep, |file| self.write_to(file))
    }

    /// Writes the rest of the content to a file like [`save_to`](Self::save_to), but replaces a file of
    /// that name when the part is complete.
    ///
    /// # Errors
    ///
    /// If the body is malformed or does not arrive, or if the file can't be written.
    pub fn replace(&mut self, path: impl AsRef<Path>) -> Result<u64, MultipartError> {
        save::write(path.as_ref(), Existing::Replace, |file| self.write_to(file))
    }

    /// Keeps the rest of the content in memory, together with its head.
    ///
    /// # Errors
    ///
    /// As for [`bytes`](Self::bytes).
    pub fn into_file_bytes(mut self) -> Result<FileBytes, MultipartError> {
        self.reserve_head()?;
        let bytes = self.read_bytes()?;
        Ok(FileBytes::new(*self.head, bytes))
    }

    /// Writes the rest of the content to a temporary file, and keeps the head.
    ///
    /// # Errors
    ///
    /// If the headers of kept files exceed
    /// [`MultipartLimits::IN_MEMORY`](super::MultipartLimits::IN_MEMORY), if the body is malformed or does not arrive, or if the file can't be written.
    pub fn into_temp_file(mut self) -> Result<TempFile, MultipartError> {
        self.reserve_head()?;
        let mut file = save::temporary()?;
        let length = self.write_to(file.as_file_mut())?;
        Ok(TempFile::new(*self.head, file, length))
    }

    /// Writes the rest of the content.
    pub(super) fn write_to(&mut self, writer: &mut impl io::Write) -> Result<u64, MultipartError> {
        let mut written = 0;
        loop {
            let content = self.content()?;
            let count = content.len();
            if count == 0 {
                return Ok(written);
            }
            writer.write_all(content)?;
            written += count as u64;
            self.source.consume(count);
        }
    }

    /// Reserves memory for the headers of a file that is kept.
    fn reserve_head(&mut self) -> Result<(), MultipartError> {
        let headers = self.head.headers().iter();
        let lengths = headers.map(|(name, value)| name.as_str().len() + value.len());
        let reserved = self.source.reserve_memory(lengths.sum());
        reserved.map_err(|error| error.in_part(self.head.name()))
    }

    fn content(&mut self) -> Result<&[u8], MultipartError> {
        let name = self.head.name();
        self.source.content().map_err(|error| error.in_part(name))
    }
}

impl Deref for Part<'_> {
    type Target = PartHead;

    fn deref(&self) -> &PartHead {
        &self.head
    }
}

/// The error of a read is a [`MultipartError`] that was converted.
impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let content = self.content()?;
        let count = content.len().min(buffer.len());
        buffer[..count].copy_from_slice(&content[..count]);
        self.source.consume(count);
        Ok(count)
    }
}

impl BufRead for Part<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.content()?)
    }

    fn consume(&mut self, count: usize) {
        self.source.consume(count);
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Part").field(&self.head).finish()
    }
}
