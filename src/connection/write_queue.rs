//! Bytes on their way to a client.

use std::io::{self, ErrorKind, Read as _};
use std::mem;
use std::time::Instant;

use bytes::{Buf, Bytes};

use super::TURN;
use super::body_writer::{BodyWriter, Refill};
use crate::message::Upgrade;
use crate::message::body::{Client, FilePart};
use crate::net::transport::{FileSent, Socket};

/// Bodies up to this size are copied behind their heads, so that many small answers leave in one
/// call; larger ones are sent from where they are.
const COPIED_BODY: usize = 8 * 1024;

/// Parts of files up to this size are read behind their heads; larger ones are sent from the
/// system's memory. That takes a call more and copies less: of 1 KiB reading costs a sixth less time
/// than sending, of 8 KiB a twelfth more, of 32 KiB half as much again.
const READ_FILE: u64 = 4 * 1024;

/// A body of more than this is not counted while others share it: the memory is the handler's, who
/// gives the same bytes to everyone.
const COUNTED_BODY: usize = 64 * 1024;

/// Answers are gathered up to this many bytes before they are sent.
const GATHERED: usize = 64 * 1024;

/// Bytes sent before other connections get their turn, if a client reads as fast as that.
const SENT_PER_TURN: usize = 1024 * 1024;

/// Answers gathered to leave together: heads and small bodies in one buffer, at most one large
/// body behind it.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    bytes: Vec<u8>,
    /// How many of those bytes have gone.
    gone: usize,
    tail: PendingBody,
    answers: u64,
    owed: Option<Backlog>,
}

/// The body of the last answer, as far as it has not gone.
#[derive(Debug, Default)]
enum PendingBody {
    #[default]
    None,
    Whole(Whole),
    BodyWriter(Box<BodyWriter>),
    File(FilePart),
    /// There is none, and no other answer.
    Upgrade(Box<Upgrade>),
}

/// A body in memory.
#[derive(Debug)]
struct Whole {
    left: Bytes,
    /// What it had at first, all of which is kept until nothing is left.
    kept: usize,
}

/// What the client does not take at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backlog {
    /// Since when it could have been taken.
    pub(super) since: Instant,
    /// How many bytes have been taken since.
    pub(super) taken: u64,
}

/// Whether everything has been sent.
#[derive(Debug)]
pub(super) enum FlushResult {
    /// Everything has, and this many answers with it.
    All(u64),
    /// The same, and what follows is not HTTP.
    Last(u64),
    /// The client does not read fast enough; this many bytes went.
    Part(usize, Backlog),
    /// The client reads on, but others have waited long enough.
    Enough,
    /// The client does not wait for the rest of the answer.
    Gone,
    /// The rest of the answer is not to be had.
    Broken(io::Error),
}

impl WriteQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && matches!(self.tail, PendingBody::None)
    }

    /// Whether it must be sent before another answer can be gathered.
    pub(super) fn is_full(&self) -> bool {
        !matches!(self.tail, PendingBody::None)
            || self.bytes.len() >= GATHERED
            || self.owed.is_some()
    }

    /// Where heads are appended.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        debug_assert!(
            matches!(self.tail, PendingBody::None),
            "nothing may follow a large body"
        );
        &mut self.bytes
    }

    /// Appends the body of the answer whose head was appended last.
    pub(super) fn push_body(&mut self, body: Bytes) {
        if body.len() <= COPIED_BODY {
            self.bytes().extend_from_slice(&body);
        } else {
            self.tail = PendingBody::Whole(Whole::new(body));
        }
    }

    /// The same for a body that is read while it is sent.
    pub(super) fn push_stream(&mut self, stream: BodyWriter) {
        self.tail = PendingBody::BodyWriter(Box::new(stream));
    }

    /// The same for a part of a file.
    pub(super) fn push_file(&mut self, mut part: FilePart) {
        if (1..=READ_FILE).contains(&part.left) {
            part.read_behind(self.bytes());
        }
        // What could not be read is not to be had: it stays, and sending it will say so.
        if part.left > 0 {
            self.tail = PendingBody::File(part);
        }
    }

    /// What follows the answer whose head was appended last is in another protocol.
    pub(super) fn push_upgrade(&mut self, upgrade: Box<Upgrade>) {
        self.tail = PendingBody::Upgrade(upgrade);
    }

    /// That protocol, if there is one.
    pub(super) fn into_upgrade(self) -> Option<Upgrade> {
        match self.tail {
            PendingBody::Upgrade(upgrade) => Some(*upgrade),
            PendingBody::None
            | PendingBody::Whole(_)
            | PendingBody::BodyWriter(_)
            | PendingBody::File(_) => None,
        }
    }

    /// Counts a whole answer.
    pub(super) fn push_answer(&mut self) {
        self.answers += 1;
    }

    /// How many answers have not left in full.
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    /// How much memory waits here.
    pub(super) fn held(&self) -> usize {
        self.bytes.len() - self.gone + self.tail.held()
    }

    pub(super) fn flush(&mut self, socket: &mut Socket, now: Instant) -> io::Result<FlushResult> {
        let mut progress = 0;
        loop {
            loop {
                let (first, second) = (&self.bytes[self.gone..], self.tail.ready());
                let left = first.len() + second.len();
                if left == 0 {
                    break;
                }
                let count = match (first, &self.tail) {
                    ([], _) => socket.send(second, &[])?,
                    (_, PendingBody::File(_)) => socket.send_more(first)?,
                    _ => socket.send(first, second)?,
                };
                if count == 0 {
                    return Ok(self.owe(progress));
                }
                progress += count;
                self.advance(count);
                if count < left && progress >= SENT_PER_TURN {
                    return Ok(FlushResult::Enough);
                }
            }
            if let PendingBody::File(_) = self.tail
                && let Some(flushed) = self.flush_file(&mut progress, socket)?
            {
                return Ok(flushed);
            }
            self.bytes.clear();
            self.gone = 0;
            // Whoever has taken everything is not slow, however long the rest takes to come.
            self.owed = None;
            match self.tail.refill(socket) {
                Ok(Refill::End) => break,
                Ok(Refill::Gone) => return Ok(FlushResult::Gone),
                Ok(Refill::More) if progress >= SENT_PER_TURN || now.elapsed() > TURN => {
                    return Ok(FlushResult::Enough);
                }
                Ok(Refill::More) => {}
                Err(error) => return Ok(FlushResult::Broken(error)),
            }
        }
        let answers = mem::take(&mut self.answers);
        match self.tail {
            PendingBody::None => {}
            PendingBody::Upgrade(_) => return Ok(FlushResult::Last(answers)),
            PendingBody::Whole(_) | PendingBody::BodyWriter(_) | PendingBody::File(_) => {
                self.tail = PendingBody::None;
            }
        }
        Ok(FlushResult::All(answers))
    }

    /// Sends of the file behind the head. Nothing comes of it if all of it has gone.
    fn flush_file(
        &mut self,
        progress: &mut usize,
        socket: &mut Socket,
    ) -> io::Result<Option<FlushResult>> {
        while let PendingBody::File(part) = &self.tail
            && part.left > 0
        {
            if *progress >= SENT_PER_TURN {
                return Ok(Some(FlushResult::Enough));
            }
            match part.send(SENT_PER_TURN - *progress, socket)? {
                FileSent::Some(count) => {
                    *progress += count;
                    self.advance(count);
                }
                FileSent::Nothing => return Ok(Some(self.owe(*progress))),
                FileSent::End => {
                    let what = format!("the file ends {} bytes before its length", part.left);
                    let error = io::Error::new(ErrorKind::UnexpectedEof, what);
                    return Ok(Some(FlushResult::Broken(error)));
                }
                FileSent::Unreadable(error) => return Ok(Some(FlushResult::Broken(error))),
            }
        }
        Ok(None)
    }

    /// The client does not take more now, whenever the answer was begun.
    fn owe(&mut self, progress: usize) -> FlushResult {
        let owed = self.owed.get_or_insert_with(|| Backlog {
            since: Instant::now(),
            taken: 0,
        });
        FlushResult::Part(progress, *owed)
    }

    /// What is left, in no more memory than it needs; this one is empty afterwards.
    pub(super) fn take(&mut self) -> Self {
        let mut left = mem::take(self);
        left.bytes.drain(..left.gone);
        left.bytes.shrink_to_fit();
        left.gone = 0;
        if let PendingBody::Whole(body) = &mut left.tail {
            body.give_back();
        }
        left
    }

    fn advance(&mut self, sent: usize) {
        if let Some(owed) = &mut self.owed {
            owed.taken += sent as u64;
        }
        let of_bytes = sent.min(self.bytes.len() - self.gone);
        self.gone += of_bytes;
        self.tail.advance(sent - of_bytes);
    }
}

impl FilePart {
    /// Appends what is left, or as much of it as one look into the file gives.
    fn read_behind(&mut self, bytes: &mut Vec<u8>) {
        let (start, left) = (bytes.len(), self.left.min(READ_FILE) as usize);
        bytes.resize(start + left, 0);
        let count = self.read(&mut bytes[start..]).unwrap_or_default();
        bytes.truncate(start + count);
    }

    /// Sends as much as goes in one call, and no more than `most`.
    fn send(&self, most: usize, socket: &mut Socket) -> io::Result<FileSent> {
        let count = usize::try_from(self.left).map_or(most, |left| left.min(most));
        socket.send_file(&self.file, self.offset, count)
    }
}

impl Whole {
    fn new(body: Bytes) -> Self {
        Self {
            kept: body.len(),
            left: body,
        }
    }

    fn is_shared(&self) -> bool {
        self.kept > COUNTED_BODY && !self.left.is_unique()
    }

    fn held(&self) -> usize {
        match self.is_shared() {
            true => 0,
            false => self.kept,
        }
    }

    /// Keeps what is left in memory of its own once more than half is gone. A client that takes all
    /// but the end of each response would otherwise keep all of them. However slowly a body goes, no
    /// more bytes are copied than it has.
    fn give_back(&mut self) {
        if self.left.len() <= self.kept / 2 && !self.is_shared() {
            *self = Self::new(Bytes::copy_from_slice(&self.left));
        }
    }
}

impl PendingBody {
    fn ready(&self) -> &[u8] {
        match self {
            Self::None | Self::File(_) | Self::Upgrade(_) => &[],
            Self::Whole(body) => &body.left,
            Self::BodyWriter(stream) => stream.ready(),
        }
    }

    fn advance(&mut self, sent: usize) {
        match self {
            Self::None | Self::Upgrade(_) => {}
            Self::Whole(body) => body.left.advance(sent),
            Self::BodyWriter(stream) => stream.advance(sent),
            Self::File(part) => part.advance(sent),
        }
    }

    fn refill(&mut self, client: &dyn Client) -> io::Result<Refill> {
        match self {
            Self::None | Self::Whole(_) | Self::File(_) | Self::Upgrade(_) => Ok(Refill::End),
            Self::BodyWriter(stream) => stream.refill(client),
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::None | Self::File(_) | Self::Upgrade(_) => 0,
            Self::Whole(body) => body.held(),
            Self::BodyWriter(stream) => stream.held(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    /// An outbox in which this body waits.
    fn write_queue(body: impl Into<Bytes>) -> WriteQueue {
        let mut write_queue = WriteQueue::default();
        write_queue.push_body(body.into());
        write_queue
    }

    #[test]
    fn a_body_counts_in_full_while_its_memory_is_kept() {
        let mut write_queue = write_queue(vec![b'x'; MIB]);
        write_queue.advance(MIB / 2 - 1);
        write_queue = write_queue.take();
        assert_eq!(write_queue.held(), MIB, "nothing can be given back");
        write_queue.advance(1);
        assert_eq!(write_queue.held(), MIB, "nothing is given back");
        write_queue = write_queue.take();
        assert_eq!(write_queue.held(), MIB / 2);
        assert_eq!(write_queue.tail.ready().len(), MIB / 2);
    }

    #[test]
    fn a_body_that_others_share_does_not_count_and_is_not_copied() {
        let shared = Bytes::from(vec![b'x'; MIB]);
        let mut write_queue = write_queue(shared.clone());
        write_queue.advance(MIB - 1);
        write_queue = write_queue.take();
        assert_eq!(write_queue.held(), 0);
        assert_eq!(
            write_queue.tail.ready().as_ptr(),
            shared[MIB - 1..].as_ptr()
        );
    }
}
