//! The part of a response behind the bytes of a write queue.

use std::io::{self, Read as _};

use super::{Memory, READ_FILE};
use crate::connection::body_writer::BodyWriter;
use crate::connection::polled_writer::PolledWriter;
use crate::message::Upgrade;
use crate::message::body::FilePart;
use crate::net::transport::{FileSent, Socket};

/// The unsent part of the last response's body.
#[derive(Debug, Default)]
pub(super) enum PendingBody {
    #[default]
    None,
    Memory(Memory),
    BodyWriter(Box<BodyWriter>),
    Polled(Box<PolledWriter>),
    File(FilePart),
    /// No body: another protocol follows the response.
    Upgrade(Box<Upgrade>),
}

impl FilePart {
    /// Appends the rest of the part, or as much of it as one read returns.
    pub(super) fn read_behind(&mut self, bytes: &mut Vec<u8>) {
        let (start, left) = (bytes.len(), self.left.min(READ_FILE) as usize);
        bytes.resize(start + left, 0);
        let count = self.read(&mut bytes[start..]).unwrap_or_default();
        bytes.truncate(start + count);
    }

    /// The rest of the content that it had when the content was taken from memory.
    pub(super) fn rest_of<'c>(&self, content: &'c [u8]) -> &'c [u8] {
        &content[content.len() - self.left as usize..]
    }

    /// Sends at most `most` bytes in one call.
    pub(super) fn send(&self, most: usize, socket: &mut Socket) -> io::Result<FileSent> {
        let count = usize::try_from(self.left).map_or(most, |left| left.min(most));
        socket.send_file(self.file.file(), self.offset, count)
    }
}

impl PendingBody {
    pub(super) fn ready(&self) -> &[u8] {
        match self {
            Self::None | Self::File(_) | Self::Upgrade(_) => &[],
            Self::Memory(body) => body.left(),
            Self::BodyWriter(body) => body.ready(),
            Self::Polled(body) => body.ready(),
        }
    }

    pub(super) fn advance(&mut self, sent: usize) {
        match self {
            Self::None | Self::Upgrade(_) => {}
            Self::Memory(body) => body.advance(sent),
            Self::BodyWriter(body) => body.advance(sent),
            Self::Polled(body) => body.advance(sent),
            Self::File(part) => part.advance(sent),
        }
    }

    pub(super) fn held(&self) -> usize {
        match self {
            Self::None | Self::File(_) | Self::Upgrade(_) => 0,
            Self::Memory(body) => body.held(),
            Self::BodyWriter(body) => body.held(),
            Self::Polled(body) => body.held(),
        }
    }
}
