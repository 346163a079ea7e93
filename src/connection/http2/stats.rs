//! Counts what happens on the HTTP/2 connections of one server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::http2::{AbuseKind, ErrorCode};

/// The counters of one server. Workers share them, so none is written for every request.
#[derive(Debug, Default)]
pub(crate) struct Http2Stats {
    streams: AtomicUsize,
    events: [AtomicU64; Http2Event::COUNT],
    /// GOAWAYs that were sent, for each code.
    goaways: [AtomicU64; ErrorCode::ALL.len()],
    /// Connections that ended because of abuse, for each kind.
    abuse: [AtomicU64; AbuseKind::ALL.len()],
}

/// An event that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http2Event {
    /// The client reset a stream.
    ClientReset,
    /// The server reset a stream that it had accepted.
    ServerReset,
    /// The server refused a stream, because the client had too many.
    Refused,
    /// Another worker took a connection while one of its handlers ran.
    Stolen,
    /// A handler returned when its connection was elsewhere, and its response was posted there.
    Posted,
}

impl Http2Event {
    const COUNT: usize = Self::Posted as usize + 1;
}

impl Http2Stats {
    /// Counts one event.
    #[cold]
    pub(crate) fn add(&self, event: Http2Event) {
        self.events[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often this event happened.
    pub(crate) fn count(&self, event: Http2Event) -> u64 {
        self.events[event as usize].load(Ordering::Relaxed)
    }

    /// Counts a connection's change from so many open streams to so many. Call this once a drive and
    /// not for every stream: a request that is handled at once then changes nothing.
    pub(crate) fn change_streams(&self, before: usize, now: usize) {
        if before != now {
            self.streams
                .fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    /// The streams that are open on all connections together.
    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Counts a connection that ended because its client did too much of this kind. Its GOAWAY
    /// counts as well.
    #[cold]
    pub(crate) fn add_abuse(&self, kind: AbuseKind) {
        self.abuse[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The connections that ended because of abuse, by the name of its kind.
    pub(crate) fn abuse(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.abuse.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        AbuseKind::ALL
            .map(AbuseKind::as_str)
            .into_iter()
            .zip(counts)
    }

    /// Counts a GOAWAY that was sent.
    #[cold]
    pub(crate) fn add_goaway(&self, code: ErrorCode) {
        self.goaways[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The GOAWAYs that were sent, by the name of their reason.
    pub(crate) fn goaways(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.goaways.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        ErrorCode::ALL
            .map(ErrorCode::as_str)
            .into_iter()
            .zip(counts)
    }
}

/// The open streams of one connection, as they are counted. Dropping it counts them as closed.
#[derive(Debug)]
pub(super) struct OpenStreams {
    stats: Arc<Http2Stats>,
    counted: usize,
}

impl OpenStreams {
    pub(super) fn new(stats: &Arc<Http2Stats>) -> Self {
        Self {
            stats: Arc::clone(stats),
            counted: 0,
        }
    }

    pub(super) fn set(&mut self, streams: usize) {
        self.stats.change_streams(self.counted, streams);
        self.counted = streams;
    }

    pub(super) fn add(&self, event: Http2Event) {
        self.stats.add(event);
    }

    pub(super) fn add_abuse(&self, kind: AbuseKind) {
        self.stats.add_abuse(kind);
    }

    pub(super) fn add_goaway(&self, code: ErrorCode) {
        self.stats.add_goaway(code);
    }
}

impl Drop for OpenStreams {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_streams_are_the_sum_of_all_connections() {
        let stats = Http2Stats::default();
        stats.change_streams(0, 3);
        stats.change_streams(0, 2);
        stats.change_streams(3, 1);
        stats.change_streams(1, 1);
        assert_eq!(stats.streams(), 3);
        stats.change_streams(2, 0);
        stats.change_streams(1, 0);
        assert_eq!(stats.streams(), 0);
    }

    #[test]
    fn events_and_goaways_are_counted_apart() {
        let stats = Http2Stats::default();
        stats.add(Http2Event::Refused);
        stats.add(Http2Event::Posted);
        stats.add(Http2Event::Posted);
        stats.add_goaway(ErrorCode::NoError);
        assert_eq!(stats.count(Http2Event::Refused), 1);
        assert_eq!(stats.count(Http2Event::Posted), 2);
        assert_eq!(stats.count(Http2Event::ClientReset), 0);
        let counted: Vec<_> = stats.goaways().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("NO_ERROR", 1)]);
        stats.add_abuse(AbuseKind::Pings);
        let counted: Vec<_> = stats.abuse().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("pings", 1)]);
    }
}
