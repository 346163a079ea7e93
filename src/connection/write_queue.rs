//! The output of a connection that has not been sent.

#[cfg_attr(
    not(feature = "http2"),
    allow(dead_code, reason = "only HTTP/2 inserts parts")
)]
mod insertions;
mod memory;
mod pending_body;

use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::time::Instant;

use bytes::Bytes;

pub(super) use self::insertions::Insertions;
pub(super) use self::memory::Memory;
use self::pending_body::PendingBody;
use super::TURN;
use super::body_writer::{BodyWriter, Refill};
use super::polled_writer::PolledWriter;
use crate::message::Upgrade;
use crate::message::body::{Client, FilePart};
use crate::message::upgrade::{MakeDriven, UpgradeKind};
use crate::net::transport::{FileSent, Socket};
use crate::sync;

/// Bodies up to this size are copied behind their heads, so that many small responses leave in one
/// call. Larger ones are sent from their own memory.
pub(super) const COPIED_BODY: usize = 8 * 1024;

/// Files up to this size are read behind their heads. Larger ones are sent by the kernel (`sendfile`),
/// which takes one more call and copies less. For 1 KiB, reading takes a sixth less time than sending;
/// for 8 KiB a twelfth more, for 32 KiB half as much again.
pub(super) const READ_FILE: u64 = 4 * 1024;

/// Responses are collected up to this many bytes before they are sent.
pub(super) const GATHERED: usize = 64 * 1024;

/// Bytes sent to a fast client before other connections have their turn.
const SENT_PER_TURN: usize = 1024 * 1024;

/// Responses that are sent together: heads and small bodies in one buffer, with at most one large body
/// behind it, or large parts of bodies in between.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    bytes: Vec<u8>,
    /// How many of those bytes have been sent. They are before all insertions.
    sent: usize,
    insertions: Insertions,
    tail: PendingBody,
    responses: u64,
    backlog: Option<Backlog>,
}

/// The progress of output that the client does not read at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backlog {
    /// When the socket first had no room.
    pub(super) since: Instant,
    /// Bytes that were sent since.
    pub(super) taken: u64,
}

/// The result of a flush.
#[derive(Debug)]
pub(super) enum FlushResult {
    /// Everything has been sent, and with it this many responses.
    All(u64),
    /// Everything has been sent, and another protocol follows.
    Last(u64),
    /// The socket has no room for the rest; this many bytes were sent.
    Part(usize, Backlog),
    /// The client reads on, but it is the turn of other connections.
    Enough,
    /// Everything that is there has been sent. There is no more before the waker of the body is called,
    /// or until this moment.
    Pending(Option<Instant>),
    /// The client has closed the connection.
    Gone,
    /// The rest of the body can't be read.
    Broken(io::Error),
}

impl WriteQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && matches!(self.tail, PendingBody::None)
    }

    /// Whether it must be sent before another response can be added.
    pub(super) fn is_full(&self) -> bool {
        !matches!(self.tail, PendingBody::None)
            || self.bytes.len() + self.insertions.len() >= GATHERED
            || self.backlog.is_some()
    }

    /// Whether a burst of this size is complete. The memory of the queue itself is enough for
    /// [`GATHERED`] bytes, and only parts in other memory can be more.
    #[cfg(feature = "http2")]
    pub(super) fn has_burst(&self, size: usize) -> bool {
        let all = self.bytes.len() - self.sent + self.insertions.len();
        let own = all - self.insertions.shared();
        own >= GATHERED || all >= size || self.insertions.is_full() || self.backlog.is_some()
    }

    /// The buffer to which heads are appended.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        debug_assert!(
            matches!(self.tail, PendingBody::None),
            "nothing may follow a large body"
        );
        &mut self.bytes
    }

    /// The buffer to which frames are appended, and the large parts between them.
    #[cfg(feature = "http2")]
    pub(super) fn parts(&mut self) -> (&mut Vec<u8>, &mut Insertions) {
        (&mut self.bytes, &mut self.insertions)
    }

    /// Appends a body in memory to the last head.
    pub(super) fn push_body(&mut self, body: Bytes) {
        if body.len() <= COPIED_BODY {
            self.bytes().extend_from_slice(&body);
        } else {
            self.tail = PendingBody::Memory(Memory::new(body));
        }
    }

    /// Appends a body from a reader to the last head.
    pub(super) fn push_reader(&mut self, body: BodyWriter) {
        self.tail = PendingBody::BodyWriter(Box::new(body));
    }

    /// Appends content from other threads to the last head.
    pub(super) fn push_polled(&mut self, body: PolledWriter) {
        self.tail = PendingBody::Polled(Box::new(body));
    }

    /// The content from other threads that is not complete.
    pub(super) fn polled(&mut self) -> Option<&mut PolledWriter> {
        match &mut self.tail {
            PendingBody::Polled(body) => Some(body),
            _ => None,
        }
    }

    /// Appends a part of a file to the last head.
    pub(super) fn push_file(&mut self, mut part: FilePart, now: Instant) {
        if (1..=READ_FILE).contains(&part.left) {
            match part.content(now) {
                Some(content) => return self.bytes().extend_from_slice(&content),
                None => part.read_behind(self.bytes()),
            }
        }
        // A part that could not be read stays, and sending it reports the error.
        if part.left > 0 {
            self.tail = PendingBody::File(part);
        }
    }

    /// Continues in another protocol after the last head.
    pub(super) fn push_upgrade(&mut self, upgrade: Box<Upgrade>) {
        self.tail = PendingBody::Upgrade(upgrade);
    }

    /// The upgrade that follows, if there is one.
    pub(super) fn into_upgrade(self) -> Option<Upgrade> {
        match self.tail {
            PendingBody::Upgrade(upgrade) => Some(*upgrade),
            PendingBody::None
            | PendingBody::Memory(_)
            | PendingBody::BodyWriter(_)
            | PendingBody::Polled(_)
            | PendingBody::File(_) => None,
        }
    }

    /// Takes what makes the protocol that follows, if the pool drives it.
    pub(super) fn take_driven(&mut self) -> Option<MakeDriven> {
        if !matches!(&self.tail, PendingBody::Upgrade(upgrade) if upgrade.is_driven()) {
            return None;
        }
        match mem::take(self).into_upgrade()?.into_kind() {
            UpgradeKind::Driven(make) => Some(make),
            UpgradeKind::Blocking(_) => None,
        }
    }

    /// Counts a complete response.
    pub(super) fn push_response(&mut self) {
        self.responses += 1;
    }

    /// Responses that have not been sent in full.
    pub(super) fn responses(&self) -> u64 {
        self.responses
    }

    /// Bytes of memory that count against the budget.
    pub(super) fn held(&self) -> usize {
        self.bytes.len() - self.sent + self.insertions.len() + self.tail.held()
    }

    pub(super) fn flush(&mut self, socket: &mut Socket, now: Instant) -> io::Result<FlushResult> {
        let mut progress = match self.insertions.is_empty() {
            true => 0,
            false => self.send_insertions(socket)?,
        };
        // Content that is there leaves together with the head.
        if let Some(body) = self.polled()
            && body.is_new()
            && let Err(error) = self.refill(socket, now)
        {
            return Ok(FlushResult::Broken(error));
        }
        // Only this call keeps the memory, so that it does not grow with slow clients.
        let content = match &self.tail {
            PendingBody::File(part) => part.content(now),
            _ => None,
        };
        loop {
            loop {
                let first = &self.bytes[self.sent..];
                let second = match (&self.tail, &content) {
                    (PendingBody::File(part), Some(content)) => part.rest_of(content),
                    (tail, _) => tail.ready(),
                };
                let left = first.len() + second.len();
                if left == 0 {
                    break;
                }
                let count = match (first, &self.tail) {
                    ([], _) => socket.send(second, &[])?,
                    (_, PendingBody::File(_)) if second.is_empty() => socket.send_more(first)?,
                    _ => socket.send(first, second)?,
                };
                if count == 0 {
                    return Ok(self.block(progress));
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
            self.sent = 0;
            // A client that has read everything is not slow, however long the reader takes.
            self.backlog = None;
            if let PendingBody::None = self.tail {
                break;
            }
            match self.refill(socket, now) {
                Ok(Refill::End) => break,
                Ok(Refill::Pending(until)) => return Ok(FlushResult::Pending(until)),
                Ok(Refill::Gone) => return Ok(FlushResult::Gone),
                Ok(Refill::More) if progress >= SENT_PER_TURN || sync::elapsed(now) > TURN => {
                    return Ok(FlushResult::Enough);
                }
                Ok(Refill::More) => {}
                Err(error) => return Ok(FlushResult::Broken(error)),
            }
        }
        let responses = mem::take(&mut self.responses);
        match self.tail {
            PendingBody::None => {}
            PendingBody::Upgrade(_) => return Ok(FlushResult::Last(responses)),
            PendingBody::Memory(_)
            | PendingBody::BodyWriter(_)
            | PendingBody::Polled(_)
            | PendingBody::File(_) => self.tail = PendingBody::None,
        }
        Ok(FlushResult::All(responses))
    }

    /// Sends everything with one call. What the socket does not take is copied into one piece.
    fn send_insertions(&mut self, socket: &mut Socket) -> io::Result<usize> {
        let (bytes, sent) = (&mut self.bytes, self.sent);
        let send = |slices: &[IoSlice<'_>]| socket.send_gathered(slices);
        let count = self.insertions.gathered(bytes, sent, send)?;
        self.insertions.flatten(bytes, sent, count);
        self.sent = 0;
        if let Some(backlog) = &mut self.backlog {
            backlog.taken += count as u64;
        }
        Ok(count)
    }

    /// Sends the file behind the head. Returns nothing once all of it is sent.
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
                FileSent::WouldBlock => return Ok(Some(self.block(*progress))),
                FileSent::End => {
                    let message = format!("the file ends {} bytes before its length", part.left);
                    let error = io::Error::new(ErrorKind::UnexpectedEof, message);
                    return Ok(Some(FlushResult::Broken(error)));
                }
                FileSent::Unreadable(error) => return Ok(Some(FlushResult::Broken(error))),
            }
        }
        Ok(None)
    }

    /// Notes that the socket has no room.
    fn block(&mut self, progress: usize) -> FlushResult {
        let backlog = self.backlog.get_or_insert_with(|| Backlog {
            since: sync::now(),
            taken: 0,
        });
        FlushResult::Part(progress, *backlog)
    }

    /// Prepares more of the body, once everything before it has been sent.
    fn refill(&mut self, client: &dyn Client, now: Instant) -> io::Result<Refill> {
        match &mut self.tail {
            PendingBody::None
            | PendingBody::Memory(_)
            | PendingBody::File(_)
            | PendingBody::Upgrade(_) => Ok(Refill::End),
            PendingBody::BodyWriter(body) => body.refill(client),
            PendingBody::Polled(body) => body.refill(&mut self.bytes, now),
        }
    }

    /// Moves the unsent output out of this queue, in as little memory as possible. The queue keeps its
    /// buffers for other connections.
    pub(super) fn take(&mut self) -> Self {
        if !self.insertions.is_empty() {
            self.insertions.flatten(&mut self.bytes, self.sent, 0);
            self.sent = 0;
        }
        let insertions = mem::take(&mut self.insertions);
        let mut bytes = mem::take(&mut self.bytes);
        let mut left = mem::take(self);
        left.bytes = bytes[left.sent..].to_vec();
        left.sent = 0;
        match &mut left.tail {
            PendingBody::Memory(body) => body.shrink(),
            PendingBody::Polled(body) => body.shrink(),
            _ => {}
        }
        bytes.clear();
        (self.bytes, self.insertions) = (bytes, insertions);
        left
    }

    /// Moves output that was [taken](Self::take) back into this queue, which is empty.
    pub(super) fn put_back(&mut self, taken: Self) {
        let Self {
            bytes, insertions, ..
        } = mem::replace(self, taken);
        self.insertions = insertions;
        // A response that waits for content has none.
        if self.bytes.is_empty() {
            self.bytes = bytes;
        }
    }

    fn advance(&mut self, sent: usize) {
        if let Some(backlog) = &mut self.backlog {
            backlog.taken += sent as u64;
        }
        let of_bytes = sent.min(self.bytes.len() - self.sent);
        self.sent += of_bytes;
        self.tail.advance(sent - of_bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    const MIB: usize = 1024 * 1024;

    /// A queue with this body.
    fn write_queue(body: impl Into<Bytes>) -> WriteQueue {
        let mut write_queue = WriteQueue::default();
        write_queue.push_body(body.into());
        write_queue
    }

    #[test]
    fn large_parts_arrive_whatever_the_socket_takes() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair is made");
        ours.set_nonblocking(true).expect("it is set");
        let mut socket = Socket::new(ours.into());
        let mut queue = WriteQueue::default();
        let mut expected = Vec::new();
        for letter in b'a'..=b'h' {
            let content = Bytes::from(vec![letter; 60_000]);
            expected.extend_from_slice(b"head");
            expected.extend_from_slice(&content);
            let (bytes, insertions) = queue.parts();
            bytes.extend_from_slice(b"head");
            assert!(insertions.has_room_for(1));
            insertions.push(bytes, content);
        }
        assert!(queue.is_full());
        assert_eq!(queue.held(), expected.len());
        let mut received = Vec::new();
        let (mut parts, mut taken) = (0, 0);
        while let FlushResult::Part(progress, _) = queue
            .flush(&mut socket, Instant::now())
            .expect("the client is there")
        {
            parts += 1;
            taken += progress;
            assert_eq!(queue.held(), expected.len() - taken);
            let unsent = queue.take();
            queue.put_back(unsent);
            let mut buffer = [0; 50_000];
            let count = theirs.read(&mut buffer).expect("bytes arrive");
            received.extend_from_slice(&buffer[..count]);
        }
        assert!(parts > 1 && queue.is_empty());
        drop(socket);
        theirs.read_to_end(&mut received).expect("bytes arrive");
        assert!(received == expected);
    }

    #[test]
    fn body_counts_in_full_while_its_memory_is_kept() {
        let mut write_queue = write_queue(vec![b'x'; MIB]);
        write_queue.advance(MIB / 2 - 1);
        write_queue = write_queue.take();
        assert_eq!(write_queue.held(), MIB, "nothing can be freed");
        write_queue.advance(1);
        assert_eq!(write_queue.held(), MIB, "nothing is freed");
        write_queue = write_queue.take();
        assert_eq!(write_queue.held(), MIB / 2);
        assert_eq!(write_queue.tail.ready().len(), MIB / 2);
    }

    #[test]
    fn shared_body_does_not_count_and_is_not_copied() {
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
