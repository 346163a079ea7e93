//! Flow control, and the ends of waits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::TIMEOUT;

/// The window of a connection, and of streams without other settings (RFC 9113 section 6.9.2).
pub(super) const DEFAULT_WINDOW: i64 = 65_535;

/// The windows of one direction.
#[derive(Debug)]
pub(super) struct Windows {
    connection: i64,
    /// The window of a new stream.
    initial: i64,
    streams: BTreeMap<u32, i64>,
}

impl Windows {
    pub(super) fn new(initial: i64) -> Self {
        Self {
            connection: DEFAULT_WINDOW,
            initial,
            streams: BTreeMap::new(),
        }
    }

    fn stream(&mut self, stream: u32) -> &mut i64 {
        self.streams.entry(stream).or_insert(self.initial)
    }

    pub(super) fn debit(&mut self, stream: u32, length: usize) {
        self.connection -= length as i64;
        *self.stream(stream) -= length as i64;
    }

    pub(super) fn credit(&mut self, stream: u32, increment: u32) {
        match stream {
            0 => self.connection += i64::from(increment),
            stream => *self.stream(stream) += i64::from(increment),
        }
    }

    /// Changes the windows of all streams (RFC 9113 section 6.9.2).
    pub(super) fn set_initial(&mut self, initial: i64) {
        for window in self.streams.values_mut() {
            *window += initial - self.initial;
        }
        self.initial = initial;
    }

    pub(super) fn available(&self, stream: u32) -> i64 {
        let window = self.streams.get(&stream).unwrap_or(&self.initial);
        self.connection.min(*window)
    }
}

/// The end of a wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// A slow machine may need long for a large body, so each wait has more than one timeout.
    pub(super) fn new() -> Self {
        Self(Instant::now() + 3 * TIMEOUT)
    }

    #[track_caller]
    pub(super) fn check(self, what: &str) {
        let left = self.0.saturating_duration_since(Instant::now());
        assert!(left > Duration::ZERO, "not in time: {what}");
    }
}
