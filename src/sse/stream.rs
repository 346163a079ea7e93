//! Events as they are read while they are sent.

use std::io::{self, Read};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::{Event, Events, Source};

/// How long a channel's stream waits before it asks whether it is over. As often as the server
/// looks at its deadlines, and as often as a silent client is sent anything.
pub(super) const SLICE: Duration = Duration::from_millis(100);

/// Events, and what of the last one has not been read.
pub(super) struct Stream {
    events: Events,
    bytes: Vec<u8>,
    read: usize,
}

impl Stream {
    pub(super) fn new(events: Events) -> Self {
        Self {
            events,
            bytes: Vec::new(),
            read: 0,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.bytes.len() {
            match self.events.next() {
                Some(event) => (self.bytes, self.read) = (event.to_string().into_bytes(), 0),
                None => return Ok(0),
            }
        }
        let count = (&self.bytes[self.read..]).read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

impl Events {
    /// Waits for the next event, or for the time in which there is none.
    fn next(&mut self) -> Option<Event> {
        let since = Instant::now();
        loop {
            if self.is_over() {
                return None;
            }
            let receiver = match &mut self.source {
                Source::Iterator(events) => return events.next(),
                Source::Channel(receiver) => receiver,
            };
            let silent = self.keep_alive.saturating_sub(since.elapsed());
            let patience = match self.is_over {
                Some(_) => silent.min(SLICE),
                None => silent,
            };
            match receiver.recv_timeout(patience) {
                Ok(event) => return Some(event),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if patience < silent => {}
                Err(RecvTimeoutError::Timeout) => return Some(Event::comment("")),
            }
        }
    }

    fn is_over(&mut self) -> bool {
        self.is_over.as_mut().is_some_and(|is_over| is_over())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn an_event_may_be_read_in_pieces() {
        let mut stream = Stream::new(Events::new(["a", "b"].map(Event::data)));
        let mut piece = [0; 5];
        assert_eq!(stream.read(&mut piece).expect("it is in memory"), 5);
        assert_eq!(&piece, b"data:");
        // What is read at a time is of one event.
        let mut rest = [0; 100];
        assert_eq!(stream.read(&mut rest).expect("it is in memory"), 4);
        assert_eq!(stream.read(&mut rest).expect("it is in memory"), 9);
        assert_eq!(stream.read(&mut rest).expect("it is in memory"), 0);
    }

    #[test]
    fn a_silent_channel_gives_comments() {
        let (sender, receiver) = sync_channel(1);
        let mut events = Events::received(receiver).keep_alive(Duration::ZERO);
        let since = Instant::now();
        assert_eq!(events.next(), Some(Event::comment("")));
        assert!(since.elapsed() >= SLICE, "nothing is sent all the time");
        sender.send(Event::data("a")).expect("it is received");
        assert_eq!(events.next(), Some(Event::data("a")));
        drop(sender);
        assert_eq!(events.next(), None);
    }

    #[test]
    fn a_silent_channel_asks_whether_it_is_over() {
        let (_sender, receiver) = sync_channel(1);
        let mut asked = 0;
        let mut events = Events::received(receiver).end_when(move || {
            asked += 1;
            asked == 3
        });
        assert_eq!(events.next(), None);
    }

    #[test]
    fn what_is_over_gives_nothing_that_waits() {
        let (sender, receiver) = sync_channel(1);
        sender.send(Event::data("a")).expect("there is room");
        assert_eq!(Events::received(receiver).end_when(|| true).next(), None);
        let mut events = Events::new([Event::data("a")]).end_when(|| true);
        assert_eq!(events.next(), None);
    }
}
