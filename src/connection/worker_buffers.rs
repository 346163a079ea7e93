//! The buffers of a worker, for the connection that it drives.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::call::Call;
#[cfg(feature = "http2")]
use super::http2::Http2Stream;
use super::transaction::Arrival;
use super::waker::WakerSource;
use super::write_queue::WriteQueue;
use crate::http1::{Date, Input, RequestBuffer};
#[cfg(feature = "http2")]
use crate::http2::{self, StreamMemory};
use crate::message::Overload;
use crate::sync;

/// Room for one receive. Nearly every head fits, so that a request takes one call. Larger bodies are
/// received directly into their own memory.
pub(super) const INPUT_ROOM: usize = 16 * 1024;

/// Room for one receive of a large body that is streamed, or of many frames: 64 KiB of content, with
/// the frame headers. A frame with 16 KiB of content does not fit into the usual room.
const LARGE_INPUT_ROOM: usize = 66 * 1024;

/// The buffers of a worker. A connection uses them while the worker drives it, so that a parked
/// connection has none. They are empty between two connections.
pub(crate) struct WorkerBuffers {
    /// The worker's number.
    pub(super) worker: usize,
    pub(super) io: Box<IoBuffers>,
    pub(super) request: RequestBuffer,
    #[cfg(feature = "http2")]
    pub(super) http2_request: http2::RequestBuffer,
    /// A request of HTTP/2 whose body is probably in the input.
    #[cfg(feature = "http2")]
    pub(super) http2_partial: http2::RequestBuffer,
    /// Whether the driven connection speaks HTTP/2, so that its request must be dropped.
    #[cfg(feature = "http2")]
    pub(super) is_http2: bool,
    /// Memory for the streams of a connection that had none.
    #[cfg(feature = "http2")]
    pub(super) http2_streams: StreamMemory<Http2Stream>,
    /// The call for which the connection is to be lent.
    pub(super) call: Option<Call>,
    /// An input buffer of the other size, if there was one.
    other_input: Input,
    /// Memory for the buffers of a lent connection.
    spare: Option<Box<IoBuffers>>,
    pub(super) waker_source: Option<Arc<dyn WakerSource>>,
    /// The token of the driven connection, if it has one.
    pub(super) token: Option<u64>,
    pub(super) now: Instant,
    /// How long the driven connection was in the queue; `None` if it came from the poller directly.
    pub(super) waited: Option<Duration>,
    /// Responses that this worker has sent in full.
    pub(super) answered: u64,
    /// Requests shed since the last [`take_shed`](Self::take_shed), for each kind of overload.
    shed: [u64; Overload::ALL.len()],
    date: Date,
    date_until: Instant,
}

/// The input and output of the driven connection. If it is lent, they stay with it while a call runs on
/// its worker, so that another thread can drive it. They are boxed because then only pointers move.
#[derive(Debug, Default)]
pub(super) struct IoBuffers {
    pub(super) input: Input,
    pub(super) write_queue: WriteQueue,
}

impl WorkerBuffers {
    pub(crate) fn new(worker: usize) -> Self {
        let now = sync::now();
        Self {
            worker,
            io: Box::new(IoBuffers {
                input: Input::with_capacity(INPUT_ROOM),
                write_queue: WriteQueue::default(),
            }),
            request: RequestBuffer::default(),
            #[cfg(feature = "http2")]
            http2_request: http2::RequestBuffer::default(),
            #[cfg(feature = "http2")]
            http2_partial: http2::RequestBuffer::default(),
            #[cfg(feature = "http2")]
            is_http2: false,
            #[cfg(feature = "http2")]
            http2_streams: StreamMemory::default(),
            call: None,
            other_input: Input::default(),
            spare: None,
            waker_source: None,
            token: None,
            now,
            waited: None,
            answered: 0,
            shed: [0; Overload::ALL.len()],
            date: Date::new(SystemTime::now()),
            date_until: now,
        }
    }

    /// Replaces the buffers after a panic, which may have left them in any state.
    pub(crate) fn replace(&mut self) {
        *self = Self {
            answered: self.answered,
            waker_source: self.waker_source.take(),
            token: self.token,
            ..Self::new(self.worker)
        };
    }

    /// Notes how long the connection that is driven next was in the queue.
    pub(crate) fn set_waited(&mut self, waited: Option<Duration>) {
        self.waited = waited;
    }

    /// The arrival of the request that is now complete, which began at `since`.
    pub(super) fn arrival(&self, since: Option<Instant>) -> Arrival {
        Arrival {
            since: since.unwrap_or(self.now),
            waited: self.waited,
        }
    }

    /// Responses that this worker has sent in full.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Counts a request that is shed.
    pub(super) fn add_shed(&mut self, overload: Overload) {
        self.shed[overload as usize] += 1;
    }

    /// Requests shed since the last call, if there are any.
    #[inline]
    pub(crate) fn take_shed(&mut self) -> Option<impl Iterator<Item = (Overload, u64)> + use<>> {
        if self.shed.iter().all(|count| *count == 0) {
            return None;
        }
        Some(Overload::ALL.into_iter().zip(mem::take(&mut self.shed)))
    }

    /// Takes the call for which the connection is to be lent.
    pub(crate) fn take_call(&mut self) -> Option<Call> {
        self.call.take()
    }

    /// Makes the buffers fit for another connection after a call whose connection another thread has.
    pub(crate) fn end_call(&mut self) {
        self.call = None;
        self.reset();
    }

    /// Moves input and output out, for a connection that is lent.
    pub(super) fn lend(&mut self) -> Box<IoBuffers> {
        mem::replace(&mut self.io, self.spare.take().unwrap_or_default())
    }

    /// Moves input and output of a connection that was lent back in.
    pub(super) fn take_back(&mut self, lent: Box<IoBuffers>) {
        self.spare = Some(mem::replace(&mut self.io, lent));
    }

    /// The current `Date`, formatted once a second.
    pub(super) fn date(&mut self) -> Date {
        if self.now >= self.date_until {
            let now = SystemTime::now();
            let into_second = now
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.subsec_nanos());
            self.date = Date::new(now);
            self.date_until =
                self.now + Duration::from_secs(1) - Duration::from_nanos(into_second.into());
        }
        self.date
    }

    /// Reads the clock again after a handler may have run: its time must not count against the
    /// client.
    pub(super) fn catch_up(&mut self) -> Instant {
        self.now = self.now.max(sync::now());
        self.now
    }

    /// Makes the input large, because more has arrived than fits, or will.
    pub(super) fn enlarge_input(&mut self) {
        if self.io.input.capacity() >= LARGE_INPUT_ROOM {
            return;
        }
        let mut large = mem::take(&mut self.other_input);
        if large.capacity() < LARGE_INPUT_ROOM {
            large = Input::with_capacity(LARGE_INPUT_ROOM);
        }
        large.extend(self.io.input.unread());
        self.other_input = mem::replace(&mut self.io.input, large);
        self.other_input.clear();
    }

    /// Gives the input its usual size.
    fn restore_input(&mut self) {
        if self.io.input.capacity() == INPUT_ROOM {
            return;
        }
        if self.other_input.capacity() != INPUT_ROOM {
            self.other_input = Input::with_capacity(INPUT_ROOM);
        }
        mem::swap(&mut self.io.input, &mut self.other_input);
        if self.other_input.capacity() == LARGE_INPUT_ROOM {
            return self.other_input.clear();
        }
        self.other_input = Input::default();
    }

    /// Frees buffers that an unusual request has enlarged, and drops the request, so that its parts do
    /// not live until the next one. Makes a new input buffer if a lent connection has kept it.
    pub(super) fn reset(&mut self) {
        self.request.clear();
        #[cfg(feature = "http2")]
        if mem::take(&mut self.is_http2) {
            self.http2_request.rest();
        }
        self.restore_input();
    }
}

impl fmt::Debug for WorkerBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuffers")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
