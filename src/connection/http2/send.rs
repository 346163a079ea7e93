//! Sends the content of responses as the windows allow.

use std::fmt;
use std::io::{self, ErrorKind, Read as _};
use std::mem;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use log::error;

use super::polled::PolledOutflow;
use super::respond::drop_quietly;
use super::stream::{Outflow, Outgoing, Sending, Step, StreamBacklog};
use super::{FileReads, Http2};
use crate::connection::write_queue::{Backlog, COPIED_BODY, Insertions, READ_FILE};
use crate::connection::{Admission, WorkerBuffers};
use crate::http2::{ErrorCode, Mux, StreamId};
use crate::message::body::{BodySource, FilePart, Reader};
#[cfg(feature = "inspect")]
use crate::message::broken::BrokenEnd;

/// Most bytes of one stream before the next stream's.
pub(super) const PART: usize = 64 * 1024;

/// What a stream needs after some of its content was sent.
pub(super) enum Next {
    /// It has more content.
    Send,
    /// It waits for its source to be woken.
    Wait,
    /// Its reader is asked for more.
    Read,
    /// Its protocol is called.
    Drive,
    /// Its content is complete, and these trailers follow.
    End(HeaderMap),
    /// Its response is complete.
    Finish,
    /// Its content can't be read.
    Fail(io::Error),
}

impl Http2 {
    /// Whether the output is to be sent before more is added.
    pub(super) fn is_full(&self, buffers: &WorkerBuffers) -> bool {
        buffers.io.write_queue.has_burst(self.burst.size())
    }

    /// Appends content to the write queue until it is full or windows end.
    pub(super) fn fill(&mut self, buffers: &mut WorkerBuffers) {
        while !self.is_full(buffers) {
            let Some(stream) = self.mux.as_mut().and_then(Mux::next_to_send) else {
                return;
            };
            self.send_part(stream, buffers);
        }
    }

    fn send_part(&mut self, stream: StreamId, buffers: &mut WorkerBuffers) {
        let is_sending = |step: &Step| matches!(step, Step::Sending(_));
        let Step::Sending(mut sending) = self.take_step(stream, is_sending) else {
            return;
        };
        let Some(mux) = &mut self.mux else { return };
        if self.turn.admission != Admission::Handle && matches!(sending.content, Outgoing::File(_))
        {
            sending.note_free();
            mux.set_pending(stream, None);
            self.files = FileReads::Paused;
            return self.set_step(stream, Step::Sending(sending));
        }
        let next = sending.send(stream, mux, buffers);
        match next {
            Next::Send => {
                mux.set_pending(stream, Some(sending.pending()));
                self.set_step(stream, Step::Sending(sending));
            }
            Next::Read => {
                sending.note_free();
                mux.set_pending(stream, None);
                self.set_step(stream, Step::Sending(sending));
                self.work().to_read.push_back(stream);
            }
            Next::Drive => {
                sending.note_free();
                mux.set_pending(stream, None);
                self.set_step(stream, Step::Sending(sending));
                self.drive_soon(stream);
            }
            Next::Wait => {
                sending.note_free();
                mux.set_pending(stream, None);
                self.set_step(stream, Step::Sending(sending));
            }
            Next::End(trailers) => {
                drop_quietly(sending);
                self.end_content(stream, &trailers, buffers);
            }
            Next::Finish => {
                drop_quietly(sending);
                self.finish(stream, buffers);
            }
            Next::Fail(error) => {
                drop_quietly(sending);
                #[cfg(feature = "inspect")]
                if let Some(end) = BrokenEnd::of(&error) {
                    return self.end_broken(stream, end, buffers);
                }
                error!("reading the response body of stream {stream} failed: {error}");
                self.reset(stream, ErrorCode::InternalError, buffers);
            }
        }
    }
}

impl Http2 {
    /// Lets files be sent that were left to a worker.
    pub(super) fn resume_files(&mut self) {
        if mem::replace(&mut self.files, FileReads::Allowed) == FileReads::Allowed {
            return;
        }
        let Some(mux) = &mut self.mux else { return };
        let files: Vec<_> = (mux.streams())
            .filter_map(|(id, stream)| match &stream.step {
                Step::Sending(sending) if matches!(sending.content, Outgoing::File(_)) => {
                    Some((id, sending.pending()))
                }
                _ => None,
            })
            .collect();
        for (stream, pending) in files {
            mux.set_pending(stream, Some(pending));
        }
    }
}

impl Sending {
    pub(super) fn new(content: Outgoing) -> Self {
        Self {
            content,
            backlog: None,
        }
    }

    /// How many bytes are ready to be sent, as far as that is known.
    pub(super) fn pending(&self) -> usize {
        match &self.content {
            Outgoing::Memory(body) => body.left().len(),
            Outgoing::File(part) => bytes_left(part),
            // Trailers need no window.
            Outgoing::Reader(outflow) if outflow.is_empty() => 0,
            // A reader is asked only when windows allow at least one byte.
            Outgoing::Reader(outflow) => outflow.ready().len().max(1),
            Outgoing::Polled(outflow) => outflow.ready(),
            Outgoing::Driven(outflow) => outflow.pending(),
        }
    }

    /// The approximate memory.
    pub(super) fn held(&self) -> usize {
        match &self.content {
            Outgoing::Memory(body) => body.held(),
            Outgoing::File(_) => 0,
            Outgoing::Reader(outflow) => outflow.held(),
            Outgoing::Polled(outflow) => outflow.held(),
            Outgoing::Driven(outflow) => outflow.held(),
        }
    }

    /// The reader and its memory, if there is one.
    pub(super) fn into_reader(self) -> Option<(BodySource, Vec<u8>)> {
        match self.content {
            Outgoing::Reader(outflow) => Some((outflow.source, outflow.part)),
            Outgoing::Memory(_) | Outgoing::File(_) | Outgoing::Polled(_) | Outgoing::Driven(_) => {
                None
            }
        }
    }

    fn send<T: Default>(
        &mut self,
        stream: StreamId,
        mux: &mut Mux<T>,
        buffers: &mut WorkerBuffers,
    ) -> Next {
        let most = mux.capacity(stream).min(PART);
        let now = buffers.now;
        let (out, insertions) = buffers.io.write_queue.parts();
        let (sent, next) = match &mut self.content {
            Outgoing::Memory(body) => {
                let sent = send_memory(body.shared(), stream, most, mux, out, insertions);
                body.advance(sent.0);
                sent
            }
            Outgoing::File(part) => match part.content(now) {
                Some(content) => {
                    let sent = send_memory(&content, stream, most, mux, out, insertions);
                    part.advance(sent.0);
                    sent
                }
                None if part.left > READ_FILE
                    && insertions.has_room_for(frames::<T>(most.min(bytes_left(part)))) =>
                {
                    send_large_file(part, stream, most, mux, out, insertions)
                }
                None => send_file(part, stream, most, mux, out),
            },
            Outgoing::Reader(outflow) => outflow.send(stream, most, mux, out),
            Outgoing::Polled(outflow) => outflow.send(stream, PART, mux, now, out, insertions),
            Outgoing::Driven(outflow) => outflow.send(stream, most, mux, out, insertions),
        };
        self.note_progress(sent, now);
        next
    }

    /// The content that it waits for, rather than for its client.
    pub(super) fn awaited(&self) -> Option<&PolledOutflow> {
        match &self.content {
            Outgoing::Polled(outflow) if outflow.is_waiting() => Some(outflow),
            _ => None,
        }
    }

    /// When its protocol is called at the latest.
    pub(super) fn next_drive(&self) -> Option<Instant> {
        match &self.content {
            Outgoing::Driven(outflow) => outflow.deadline(),
            _ => None,
        }
    }

    /// Frees the memory of what was sent, once that is worth a copy.
    pub(super) fn shrink(&mut self) {
        match &mut self.content {
            Outgoing::Memory(body) => body.shrink(),
            Outgoing::Polled(outflow) => outflow.shrink(),
            Outgoing::Driven(outflow) => outflow.shrink(),
            Outgoing::File(_) | Outgoing::Reader(_) => {}
        }
    }

    /// Notes that the client gives no window.
    pub(super) fn note_blocked(&mut self, now: Instant) {
        self.backlog.get_or_insert(StreamBacklog {
            whole: Backlog {
                since: now,
                taken: 0,
            },
            progress: now,
        });
    }

    /// Notes that the client does not delay it.
    pub(super) fn note_free(&mut self) {
        self.backlog = None;
    }

    fn note_progress(&mut self, sent: usize, now: Instant) {
        if let Some(backlog) = self.backlog.as_mut().filter(|_| sent > 0) {
            backlog.whole.taken += sent as u64;
            backlog.progress = now;
        }
    }
}

fn bytes_left(part: &FilePart) -> usize {
    usize::try_from(part.left).unwrap_or(usize::MAX)
}

/// The number of DATA frames that have this much content.
pub(super) fn frames<T: Default>(content: usize) -> usize {
    content.div_ceil(Mux::<T>::MAX_DATA)
}

/// Sends content that is in memory, as much of it as is allowed.
fn send_memory<T: Default>(
    left: &Bytes,
    stream: StreamId,
    most: usize,
    mux: &mut Mux<T>,
    out: &mut Vec<u8>,
    insertions: &mut Insertions,
) -> (usize, Next) {
    let count = left.len().min(most);
    let is_last = count == left.len();
    if count > COPIED_BODY && insertions.has_room_for(frames::<T>(count)) {
        send_shared(&left.slice(..count), stream, is_last, mux, out, insertions);
    } else {
        mux.send_data(stream, &left[..count], is_last, out);
    }
    (count, if is_last { Next::Finish } else { Next::Send })
}

/// Sends content from its own memory. There must be room for its [`frames`].
pub(super) fn send_shared<T: Default>(
    content: &Bytes,
    stream: StreamId,
    is_last: bool,
    mux: &mut Mux<T>,
    out: &mut Vec<u8>,
    insertions: &mut Insertions,
) {
    let mut start = 0;
    while start < content.len() {
        let end = content.len().min(start + Mux::<T>::MAX_DATA);
        let ends_stream = is_last && end == content.len();
        if !mux.send_data_head(stream, end - start, ends_stream, out) {
            return;
        }
        insertions.push(out, content.slice(start..end));
        start = end;
    }
    if is_last {
        mux.end_data(stream, out);
    }
}

/// Reads a part of a file with one call, and sends it from there.
fn send_large_file<T: Default>(
    part: &mut FilePart,
    stream: StreamId,
    most: usize,
    mux: &mut Mux<T>,
    out: &mut Vec<u8>,
    insertions: &mut Insertions,
) -> (usize, Next) {
    let read = match insertions.read(bytes_left(part).min(most), |room| part.read(room)) {
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::Interrupted => return (0, Next::Send),
        Err(error) => return (0, Next::Fail(error)),
    };
    let is_last = part.left == 0;
    let mut sent = 0;
    while sent < read {
        let count = (read - sent).min(Mux::<T>::MAX_DATA);
        sent += count;
        if !mux.send_data_head(stream, count, is_last && sent == read, out) {
            return (sent, Next::Finish);
        }
        insertions.push_read(out, count);
    }
    if !is_last {
        return (sent, Next::Send);
    }
    mux.end_data(stream, out);
    (sent, Next::Finish)
}

/// Reads a file into DATA frames.
fn send_file<T: Default>(
    part: &mut FilePart,
    stream: StreamId,
    most: usize,
    mux: &mut Mux<T>,
    out: &mut Vec<u8>,
) -> (usize, Next) {
    let mut sent = 0;
    while sent < most {
        let count = bytes_left(part).min(most - sent).min(Mux::<T>::MAX_DATA);
        let start = out.len();
        let content = start + Mux::<T>::DATA_HEADER;
        out.resize(content + count, 0);
        let read = part.read(&mut out[content..]);
        out.truncate(content + read.as_ref().copied().unwrap_or_default());
        match read {
            Ok(count) => sent += count,
            Err(error) => {
                out.truncate(start);
                return match error.kind() {
                    ErrorKind::Interrupted => (sent, Next::Send),
                    _ => (sent, Next::Fail(error)),
                };
            }
        }
        let is_last = part.left == 0;
        mux.send_data_in_place(stream, start, is_last, out);
        if is_last {
            return (sent, Next::Finish);
        }
    }
    (sent, Next::Send)
}

impl Outflow {
    pub(super) fn new(source: BodySource, part: Vec<u8>) -> Self {
        Self {
            source,
            part,
            sent: 0,
        }
    }

    fn ready(&self) -> &[u8] {
        &self.part[self.sent..]
    }

    /// Whether there is no content at all.
    fn is_empty(&self) -> bool {
        matches!(self.source.reader, Reader::Empty)
    }

    fn held(&self) -> usize {
        self.part.capacity() + self.source.held
    }

    fn send<T: Default>(
        &mut self,
        stream: StreamId,
        most: usize,
        mux: &mut Mux<T>,
        out: &mut Vec<u8>,
    ) -> (usize, Next) {
        let count = self.ready().len().min(most);
        if count == 0 {
            return (0, Next::Read);
        }
        let is_last = self.source.length == Some(0) && count == self.ready().len();
        mux.append_data(stream, &self.ready()[..count], is_last, out);
        self.sent += count;
        let next = match is_last {
            true => Next::Finish,
            false if self.ready().is_empty() => Next::Read,
            false => Next::Send,
        };
        (count, next)
    }
}

impl fmt::Debug for Outflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outflow").finish_non_exhaustive()
    }
}
