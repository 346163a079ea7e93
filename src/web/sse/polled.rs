//! Events from other threads as the content of a response, with comments while there are none.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::Options;
use crate::message::body::{Polled, PolledSource};
use crate::message::waker::Wake;

/// An event without meaning.
const COMMENT: Bytes = Bytes::from_static(b": \n\n");

/// A source of encoded events.
pub(super) struct PolledEvents {
    source: Box<dyn PolledSource>,
    options: Options,
    /// When a comment is due, if nothing is sent before.
    next_comment: Option<Instant>,
    /// Whether a comment must show if the client still reads.
    must_probe: bool,
}

impl PolledEvents {
    pub(super) fn new(source: Box<dyn PolledSource>, options: Options) -> Self {
        Self {
            source,
            options,
            next_comment: None,
            must_probe: false,
        }
    }

    /// A comment if one is due.
    fn comment(&mut self, now: Instant) -> Polled {
        let due = *(self.next_comment).get_or_insert_with(|| self.options.next_comment(now));
        if !self.must_probe && now < due {
            return Polled::Pending(Some(due));
        }
        self.note_sent();
        Polled::Part(COMMENT)
    }

    fn note_sent(&mut self) {
        self.next_comment = None;
        self.must_probe = false;
    }
}

impl PolledSource for PolledEvents {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        self.source.attach(waker);
    }

    fn poll(&mut self, now: Instant) -> Polled {
        if self.options.is_over() {
            return Polled::End;
        }
        match self.source.poll(now) {
            Polled::Pending(until) => match (self.comment(now), until) {
                (Polled::Pending(due), Some(until)) => {
                    Polled::Pending(Some(due.map_or(until, |due| due.min(until))))
                }
                (comment, _) => comment,
            },
            polled => {
                self.note_sent();
                polled
            }
        }
    }

    fn client_finished(&mut self) {
        self.must_probe = true;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::web::sse::{Event, EventSender, EventSource, Events, channel};

    fn stream(change: impl FnOnce(Events) -> Events) -> (EventSender, PolledEvents) {
        let (sender, events) = channel();
        let events = change(events);
        match events.source {
            EventSource::Polled(source) => (sender, PolledEvents::new(source, events.options)),
            EventSource::Blocking(_) => panic!("a channel is polled"),
        }
    }

    fn send(sender: &EventSender, data: &str) {
        assert_eq!(sender.try_send(Event::data(data)), Ok(()));
    }

    #[track_caller]
    fn expect_part(events: &mut PolledEvents, now: Instant, expected: &str) {
        match events.poll(now) {
            Polled::Part(part) => assert_eq!(String::from_utf8_lossy(&part), expected),
            other => panic!("no part: {other:?}"),
        }
    }

    #[track_caller]
    fn expect_pending(events: &mut PolledEvents, now: Instant, until: Instant) {
        let polled = events.poll(now);
        assert!(
            matches!(polled, Polled::Pending(Some(at)) if at == until),
            "{polled:?}"
        );
    }

    #[test]
    fn silent_stream_sends_comments_by_the_clock() {
        let second = Duration::from_secs(1);
        let (sender, mut events) = stream(|events| events.keep_alive(10 * second));
        let start = Instant::now();
        expect_pending(&mut events, start, start + 10 * second);
        expect_pending(&mut events, start + 9 * second, start + 10 * second);
        expect_part(&mut events, start + 10 * second, ": \n\n");
        expect_pending(&mut events, start + 10 * second, start + 20 * second);
        // An event makes the stream silent later.
        send(&sender, "a");
        expect_part(&mut events, start + 15 * second, "data: a\n\n");
        expect_pending(&mut events, start + 15 * second, start + 25 * second);
        drop(sender);
        assert!(matches!(events.poll(start), Polled::End));
    }

    #[test]
    fn client_that_has_finished_sending_is_sent_one_comment() {
        let (sender, mut events) = stream(|events| events);
        let now = Instant::now();
        events.client_finished();
        expect_part(&mut events, now, ": \n\n");
        expect_pending(&mut events, now, now + super::super::KEEP_ALIVE);
        // An event shows as much as a comment.
        send(&sender, "a");
        events.client_finished();
        expect_part(&mut events, now, "data: a\n\n");
        expect_pending(&mut events, now, now + super::super::KEEP_ALIVE);
    }

    #[test]
    fn end_when_is_checked_before_each_event() {
        let (sender, mut events) = stream(|events| {
            let mut calls = 0;
            events.end_when(move || {
                calls += 1;
                calls == 3
            })
        });
        let now = Instant::now();
        (0..3).for_each(|_| send(&sender, "a"));
        expect_part(&mut events, now, "data: a\n\n");
        assert!(matches!(events.poll(now), Polled::Part(_)));
        assert!(matches!(events.poll(now), Polled::End));
    }

    #[test]
    fn endless_silence_needs_no_comment() {
        let (_sender, mut events) = stream(|events| events.keep_alive(Duration::MAX));
        let polled = events.poll(Instant::now());
        assert!(matches!(polled, Polled::Pending(Some(_))), "{polled:?}");
    }
}
