//! What a worker has at hand for whichever connection it drives.

use std::mem;
use std::time::{Duration, Instant, SystemTime};

use super::write_queue::WriteQueue;
use crate::http1::{Date, Input, RequestBuffer};

/// Room for one receive. Larger than nearly every head, so that a request is one call; larger
/// bodies are received straight to where they stay.
const INPUT_ROOM: usize = 16 * 1024;

/// A worker's own buffers, lent to each connection that it drives, so that a connection that
/// sleeps holds none. Between two drives they are empty.
#[derive(Debug)]
pub(crate) struct WorkerBuffers {
    /// The number of the worker that sits at it.
    pub(super) worker: usize,
    pub(super) input: Input,
    pub(super) write_queue: WriteQueue,
    pub(super) slot: RequestBuffer,
    pub(super) now: Instant,
    /// Requests answered in full at this desk.
    pub(super) answered: u64,
    /// Those of them that no handler has seen, since somebody asked.
    pub(super) shed: u64,
    date: Date,
    date_until: Instant,
}

impl WorkerBuffers {
    pub(crate) fn new(worker: usize) -> Self {
        let now = Instant::now();
        Self {
            worker,
            input: Input::with_capacity(INPUT_ROOM),
            write_queue: WriteQueue::default(),
            slot: RequestBuffer::default(),
            now,
            answered: 0,
            shed: 0,
            date: Date::new(SystemTime::now()),
            date_until: now,
        }
    }

    /// Puts new things on the desk, for nobody knows what state they are in.
    pub(crate) fn replace(&mut self) {
        *self = Self {
            answered: self.answered,
            ..Self::new(self.worker)
        };
    }

    /// Requests answered in full at this desk.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// How many requests were shed at this desk since this was asked last.
    pub(crate) fn take_overload(&mut self) -> u64 {
        mem::take(&mut self.shed)
    }

    /// The `Date` of this moment, made once a second.
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

    /// Looks at the clock again, where a handler may have run: its client is not to pay for that.
    pub(super) fn catch_up(&mut self) -> Instant {
        self.now = self.now.max(Instant::now());
        self.now
    }

    /// Gives back buffers that an unusual request has made large, and lets go of the request
    /// itself: what it holds must not live until the next one comes.
    pub(super) fn reset(&mut self) {
        self.slot.clear();
        if self.input.capacity() > INPUT_ROOM {
            self.input = Input::with_capacity(INPUT_ROOM);
        }
    }
}
