//! Sends content that other threads produce. Its source never blocks, so whoever drives the connection
//! polls it: it needs no call, and no worker while it waits.

use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use log::error;

use super::Http2;
use super::respond::drop_quietly;
use super::send::{Next, frames, send_shared};
use super::stream::{Outflow, Outgoing, Step};
use crate::connection::WorkerBuffers;
use crate::connection::body_writer;
use crate::connection::write_queue::{COPIED_BODY, Insertions, Memory};
use crate::http2::{ErrorCode, Mux, StreamId};
use crate::message::body::{BodySource, Polled, Reader};
use crate::message::waker::Wake;

/// A polled source with the part that it has returned.
pub(super) struct PolledOutflow {
    source: BodySource,
    /// The rest of the last part, which the windows have not allowed to send.
    rest: Memory,
    state: State,
}

enum State {
    /// Its waker is attached before the first poll.
    New(Arc<dyn Wake>),
    /// It is polled once the rest is sent.
    Ready,
    /// It has no content before it is woken, or until this moment.
    Waiting(Option<Instant>),
}

/// Why a frame is no longer.
enum Stop {
    /// There is no room for more.
    Full,
    /// The source has no content now.
    Waiting,
    /// The content is complete, and these trailers follow.
    End(HeaderMap),
    Failed(io::Error),
}

impl Http2 {
    /// Lets the content of this source be sent. A source that can't wake its stream would have to be
    /// read on a worker while it waits, so its stream is reset.
    pub(super) fn send_source(
        &mut self,
        stream: StreamId,
        source: BodySource,
        buffers: &mut WorkerBuffers,
    ) {
        let Reader::Polled(_) = source.reader else {
            let outflow = Outflow::new(source, Vec::new());
            return self.send_later(stream, Outgoing::Reader(outflow));
        };
        match self.work().woken.waker(stream, buffers) {
            Some(waker) => {
                let outflow = PolledOutflow::new(source, waker);
                self.send_later(stream, Outgoing::Polled(outflow));
            }
            None => {
                error!("stream {stream} is reset: the poller is full");
                drop_quietly(source);
                self.reset(stream, ErrorCode::InternalError, buffers);
            }
        }
    }

    /// Lets the streams that other threads have woken be polled.
    pub(super) fn note_woken(&mut self, buffers: &WorkerBuffers) {
        let Some(work) = &self.work else { return };
        for stream in work.woken.take() {
            self.poll_later(stream, buffers);
            self.poll_again(stream);
            self.drive_soon(stream);
        }
    }

    /// Lets a stream that waits for content be polled.
    pub(super) fn poll_again(&mut self, stream: StreamId) {
        let Some(mux) = &mut self.mux else { return };
        if let Some(entry) = mux.get_mut(stream)
            && let Step::Sending(sending) = &mut entry.step
            && let Outgoing::Polled(outflow) = &mut sending.content
            && outflow.is_waiting()
        {
            outflow.state = State::Ready;
            // No window delays the poll: the content may have ended.
            mux.set_pending(stream, Some(0));
        }
    }
}

impl PolledOutflow {
    fn new(source: BodySource, waker: Arc<dyn Wake>) -> Self {
        Self {
            source,
            rest: Memory::new(Bytes::new()),
            state: State::New(waker),
        }
    }

    /// The bytes that are ready. If there are none, it is polled, whatever the windows are.
    pub(super) fn ready(&self) -> usize {
        self.rest.left().len()
    }

    /// The approximate memory. A source that waits had no content when it was polled. What has come
    /// since counts once it is polled again, so that a look at a thousand streams takes no locks.
    pub(super) fn held(&self) -> usize {
        match self.state {
            State::Waiting(_) => self.source.held,
            State::New(_) | State::Ready => self.rest.held() + self.source.held(),
        }
    }

    pub(super) fn shrink(&mut self) {
        self.rest.shrink();
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// When it is polled at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(until) => until,
            State::New(_) | State::Ready => None,
        }
    }

    /// Sends at most this much content, and as much as the windows allow. Small parts share a frame, and
    /// a large one is not copied.
    pub(super) fn send<T: Default>(
        &mut self,
        stream: StreamId,
        most: usize,
        mux: &mut Mux<T>,
        now: Instant,
        out: &mut Vec<u8>,
        insertions: &mut Insertions,
    ) -> (usize, Next) {
        let mut sent = 0;
        while sent < most {
            let (count, stop) = match self.refill(now) {
                Ok(()) => self.send_ready(stream, most - sent, mux, now, out, insertions),
                Err(stop) => (0, stop),
            };
            sent += count;
            let next = match stop {
                Stop::Full if count > 0 => continue,
                Stop::Full => Next::Send,
                Stop::Waiting => Next::Wait,
                Stop::End(trailers) if count > 0 && trailers.is_empty() => Next::Finish,
                Stop::End(trailers) => Next::End(trailers),
                Stop::Failed(error) => Next::Fail(error),
            };
            return (sent, next);
        }
        (sent, Next::Send)
    }

    /// Sends a large part from its own memory, or gathers small ones in a frame.
    fn send_ready<T: Default>(
        &mut self,
        stream: StreamId,
        most: usize,
        mux: &mut Mux<T>,
        now: Instant,
        out: &mut Vec<u8>,
        insertions: &mut Insertions,
    ) -> (usize, Stop) {
        // A small window may not be worth a frame for this much content.
        mux.set_pending(stream, Some(self.ready()));
        let room = most.min(mux.capacity(stream));
        if room == 0 {
            return (0, Stop::Full);
        }
        let count = self.ready().min(room);
        if count > COPIED_BODY && insertions.has_room_for(frames::<T>(count)) {
            let content = self.rest.shared().slice(..count);
            send_shared(&content, stream, false, mux, out, insertions);
            self.advance(count);
            return (count, Stop::Full);
        }
        self.send_frame(stream, room.min(Mux::<T>::MAX_DATA), mux, now, out)
    }

    /// Sends one DATA frame of all that is there now and has room. It ends the stream with the
    /// content, unless trailers follow.
    fn send_frame<T: Default>(
        &mut self,
        stream: StreamId,
        room: usize,
        mux: &mut Mux<T>,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> (usize, Stop) {
        let start = out.len();
        let content = start + Mux::<T>::DATA_HEADER;
        out.resize(content, 0);
        let stop = loop {
            if let Err(stop) = self.refill(now) {
                break stop;
            }
            let left = room - (out.len() - content);
            let is_begun = left < room;
            if left == 0 || is_begun && self.ready() > COPIED_BODY {
                break Stop::Full;
            }
            let count = self.ready().min(left);
            out.extend_from_slice(&self.rest.left()[..count]);
            self.advance(count);
        };
        let count = out.len() - content;
        let is_last = matches!(&stop, Stop::End(trailers) if trailers.is_empty());
        mux.send_data_in_place(stream, start, is_last, out);
        (count, stop)
    }

    /// Notes that this much of the last part was sent. Its memory may be shared by many clients.
    fn advance(&mut self, count: usize) {
        self.rest.advance(count);
        if self.ready() == 0 {
            self.rest = Memory::new(Bytes::new());
        }
    }

    /// Takes the next part once everything before it is sent.
    fn refill(&mut self, now: Instant) -> Result<(), Stop> {
        if self.ready() > 0 {
            return Ok(());
        }
        match self.poll(now) {
            Polled::Part(part) => self.rest = Memory::new(part),
            Polled::Pending(until) => {
                self.state = State::Waiting(until);
                return Err(Stop::Waiting);
            }
            Polled::End => {
                let trailers = body_writer::take_trailers(&mut self.source);
                return Err(trailers.map_or_else(Stop::Failed, Stop::End));
            }
            Polled::Failed(error) => return Err(Stop::Failed(error)),
        }
        Ok(())
    }

    /// Polls the source. A panic becomes an error.
    fn poll(&mut self, now: Instant) -> Polled {
        let Self { source, state, .. } = self;
        let Reader::Polled(reader) = &mut source.reader else {
            return Polled::Failed(io::Error::other("the source can't be polled"));
        };
        let poll = || {
            if let State::New(waker) = mem::replace(state, State::Ready) {
                reader.attach(waker);
            }
            reader.poll(now)
        };
        catch_unwind(AssertUnwindSafe(poll))
            .unwrap_or_else(|_| Polled::Failed(io::Error::other("the source panicked")))
    }
}

impl fmt::Debug for PolledOutflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolledOutflow").finish_non_exhaustive()
    }
}
