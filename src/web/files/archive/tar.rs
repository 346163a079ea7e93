//! Archives in the format of POSIX (pax).

use std::fs::Metadata;
use std::io::{self, Read};

use tar::{Builder, EntryType, Header};

use super::Names;
use super::content::{Content, modified, permissions};
use super::tree::{Entry, Tree};
use crate::fs::folder::OpenError;

const BLOCK: u64 = 512;

/// The end of an archive: two blocks of zeros.
const END: usize = 1024;

/// The largest size in the eleven octal digits of a header.
const MAX_SIZE: u64 = (1 << 33) - 1;

/// Makes an archive while it is read.
#[derive(Debug)]
pub(super) struct TarReader {
    tree: Tree,
    names: Names,
    /// Headers and padding, up to this position sent.
    ready: Vec<u8>,
    sent: usize,
    file: Option<TarFile>,
    /// An error behind bytes that were read before.
    failure: Option<io::Error>,
    is_complete: bool,
}

/// The file whose content is being sent.
#[derive(Debug)]
struct TarFile {
    content: Content,
    padding: usize,
}

impl TarReader {
    /// An archive of this tree.
    pub(super) fn new(tree: Tree, names: Names) -> Self {
        Self {
            tree,
            names,
            ready: Vec::new(),
            sent: 0,
            file: None,
            failure: None,
            is_complete: false,
        }
    }

    /// Reads some bytes. Zero say that the archive is complete.
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = &self.ready[self.sent..];
            if !ready.is_empty() {
                let count = ready.read(buffer)?;
                self.sent += count;
                return Ok(count);
            }
            self.ready.clear();
            self.sent = 0;
            match &mut self.file {
                Some(file) => match file.content.read(buffer)? {
                    0 => {
                        self.ready.resize(file.padding, 0);
                        self.file = None;
                    }
                    count => return Ok(count),
                },
                None if self.is_complete => return Ok(0),
                None => self.advance()?,
            }
        }
    }

    /// Begins the next entry, or the end.
    fn advance(&mut self) -> io::Result<()> {
        let Some(Entry { path, metadata }) = self.tree.next()? else {
            self.ready.resize(END, 0);
            self.is_complete = true;
            return Ok(());
        };
        let mut name = self.names.of(&path);
        if metadata.is_dir() {
            name.push(b'/');
            return put_header(&name, &metadata, EntryType::Directory, &mut self.ready);
        }
        match self.tree.root().open_once(&path) {
            Ok((file, metadata)) => {
                put_header(&name, &metadata, EntryType::Regular, &mut self.ready)?;
                let length = metadata.len();
                self.file = Some(TarFile {
                    content: Content::new(file, length),
                    padding: padding(length),
                });
                Ok(())
            }
            // It has vanished.
            Err(OpenError::NotFound | OpenError::Forbidden) => Ok(()),
            Err(OpenError::Busy(error) | OpenError::Failed(error)) => Err(error),
        }
    }
}

impl Read for TarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        // Many small files fill one read, so that each does not become a chunk of its own.
        while count < buffer.len() {
            match self.step(&mut buffer[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(failure) if count == 0 => return Err(failure),
                Err(failure) => {
                    self.failure = Some(failure);
                    break;
                }
            }
        }
        Ok(count)
    }
}

/// The zeros behind content of this length.
fn padding(length: u64) -> usize {
    // It is less than a block.
    (length.next_multiple_of(BLOCK) - length) as usize
}

/// Appends the header of an entry, with a PAX header before it if its name or size needs one.
fn put_header(
    name: &[u8],
    metadata: &Metadata,
    entry_type: EntryType,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let length = match entry_type {
        EntryType::Regular => metadata.len(),
        _ => 0,
    };
    let size = length.to_string();
    let mut records: Vec<(&str, &[u8])> = Vec::new();
    let mut header = Header::new_ustar();
    let fits = put_name(name, &mut header);
    if !fits && std::str::from_utf8(name).is_err() {
        records.push(("hdrcharset", b"BINARY"));
    }
    if !fits || (!name.is_ascii() && std::str::from_utf8(name).is_ok()) {
        records.push(("path", name));
    }
    if length > MAX_SIZE {
        records.push(("size", size.as_bytes()));
    }
    if !records.is_empty() {
        let mut extension = Builder::new(Vec::new());
        extension.append_pax_extensions(records)?;
        // The end of an archive follows, which is none yet.
        let mut extension = extension.into_inner()?;
        extension.truncate(extension.len() - END);
        out.extend(extension);
    }
    header.set_entry_type(entry_type);
    header.set_size(length);
    header.set_mode(permissions(metadata));
    header.set_mtime(modified(metadata));
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    Ok(())
}

/// Writes the bytes of a name into the header, and returns whether they fit. The program that unpacks the
/// archive takes the whole name from the PAX header otherwise.
fn put_name(name: &[u8], header: &mut Header) -> bool {
    let Some(ustar) = header.as_ustar_mut() else {
        return false;
    };
    let (most_name, most_prefix) = (ustar.name.len(), ustar.prefix.len());
    if name.len() <= most_name {
        ustar.name[..name.len()].copy_from_slice(name);
        return true;
    }
    // The slash between both is not written. A folder's own slash stays in the name.
    let split = (0..name.len() - 1)
        .rev()
        .find(|at| name[*at] == b'/' && *at <= most_prefix && name.len() - at - 1 <= most_name);
    match split {
        Some(at) => {
            ustar.prefix[..at].copy_from_slice(&name[..at]);
            ustar.name[..name.len() - at - 1].copy_from_slice(&name[at + 1..]);
            true
        }
        None => {
            ustar.name.copy_from_slice(&name[..most_name]);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_a_slash() {
        let long = |count: usize, last: usize| {
            [&vec![b'a'; count][..], b"/", &vec![b'b'; last][..]].concat()
        };
        for (name, expected) in [
            (long(10, 10), true),
            (long(99, 100), true),
            (long(155, 100), true),
            (long(156, 10), false),
            (long(10, 101), false),
            (vec![b'a'; 100], true),
            (vec![b'a'; 101], false),
        ] {
            let mut header = Header::new_ustar();
            assert_eq!(put_name(&name, &mut header), expected, "{}", name.len());
            if expected {
                assert_eq!(&*header.path_bytes(), &name[..]);
            }
        }
    }

    #[test]
    fn content_is_padded_to_blocks() {
        for (length, expected) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)] {
            assert_eq!(padding(length), expected);
        }
        assert_eq!(padding(u64::MAX - 511), 0);
    }
}
