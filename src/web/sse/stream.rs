//! Events as they are read while they are sent.

use std::io::{self, Read};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::{Event, EventSource, Events};
use crate::message::body::{Client, ClientGone, Presence, ReadWatching};

/// How long a channel's stream waits before it asks whether it is over and whether its client is
/// there. As often as the server looks at its deadlines, and as often as a silent client is sent
/// anything.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// Events, and what of the last one has not been read.
pub(crate) struct EventReader {
    events: Events,
    bytes: Vec<u8>,
    read: usize,
}

impl EventReader {
    pub(crate) fn new(events: Events) -> Self {
        Self {
            events,
            bytes: Vec::new(),
            read: 0,
        }
    }
}

impl ReadWatching for EventReader {
    fn read_watching(&mut self, buffer: &mut [u8], client: &dyn Client) -> io::Result<usize> {
        if self.read == self.bytes.len() {
            match self.events.next(client)? {
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
    /// Waits for the next event, or for the time in which there is none, or for the client's end.
    fn next(&mut self, client: &dyn Client) -> Result<Option<Event>, ClientGone> {
        let since = Instant::now();
        loop {
            if self.is_over() {
                return Ok(None);
            }
            if let EventSource::Channel(receiver) = &mut self.source {
                match receiver.try_recv() {
                    Ok(event) => return Ok(Some(event)),
                    Err(TryRecvError::Disconnected) => return Ok(None),
                    Err(TryRecvError::Empty) => {}
                }
            }
            match client.presence() {
                Presence::Here => {}
                Presence::Gone => return Err(ClientGone),
                // The system tells nothing more of a client that has closed its end before
                // something is sent to it.
                Presence::Finished if !self.has_asked => {
                    self.has_asked = true;
                    return Ok(Some(Event::comment("")));
                }
                Presence::Finished => {}
            }
            let receiver = match &mut self.source {
                EventSource::Iterator(events) => return Ok(events.next()),
                EventSource::Channel(receiver) => receiver,
            };
            let silent = self.keep_alive.saturating_sub(since.elapsed());
            match receiver.recv_timeout(silent.min(SLICE)) {
                Ok(event) => return Ok(Some(event)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if SLICE < silent => {}
                Err(RecvTimeoutError::Timeout) => return Ok(Some(Event::comment(""))),
            }
        }
    }

    fn is_over(&mut self) -> bool {
        self.is_over.as_mut().is_some_and(|is_over| is_over())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::message::body::Anyone;

    fn next(events: &mut Events) -> Option<Event> {
        events.next(&Anyone).expect("nobody says that he is gone")
    }

    /// A client of which the next looks find this.
    struct Seen(Mutex<Vec<Presence>>);

    impl Client for Seen {
        fn presence(&self) -> Presence {
            let mut seen = self.0.lock().expect("nobody panics with it");
            seen.pop().expect("nobody looks once more")
        }
    }

    #[test]
    fn a_client_that_is_gone_ends_the_wait() {
        let (_sender, receiver) = sync_channel(1);
        let mut events = Events::received(receiver);
        let seen = [Presence::Here, Presence::Here, Presence::Gone];
        let client = Seen(Mutex::new(seen.into_iter().rev().collect()));
        assert!(events.next(&client).is_err());
        let endless = std::iter::repeat_with(|| -> Event { panic!("it is not asked") });
        let client = Seen(Mutex::new(vec![Presence::Gone]));
        assert!(Events::new(endless).next(&client).is_err());
    }

    #[test]
    fn a_client_that_has_finished_sending_is_asked_once_by_a_comment() {
        let (sender, receiver) = sync_channel(1);
        let mut events = Events::received(receiver);
        let client = Seen(Mutex::new(vec![Presence::Finished; 2]));
        assert_eq!(events.next(&client).ok(), Some(Some(Event::comment(""))));
        sender.send(Event::data("a")).expect("it is received");
        assert_eq!(events.next(&client).ok(), Some(Some(Event::data("a"))));
        drop(sender);
        assert_eq!(events.next(&client).ok(), Some(None));
    }

    #[test]
    fn an_event_may_be_read_in_pieces() {
        let mut stream = EventReader::new(Events::new(["a", "b"].map(Event::data)));
        let mut piece = [0; 5];
        assert_eq!(
            stream
                .read_watching(&mut piece, &Anyone)
                .expect("it is in memory"),
            5
        );
        assert_eq!(&piece, b"data:");
        // What is read at a time is of one event.
        let mut rest = [0; 100];
        assert_eq!(
            stream
                .read_watching(&mut rest, &Anyone)
                .expect("it is in memory"),
            4
        );
        assert_eq!(
            stream
                .read_watching(&mut rest, &Anyone)
                .expect("it is in memory"),
            9
        );
        assert_eq!(
            stream
                .read_watching(&mut rest, &Anyone)
                .expect("it is in memory"),
            0
        );
    }

    #[test]
    fn a_silent_channel_gives_comments() {
        let (sender, receiver) = sync_channel(1);
        let mut events = Events::received(receiver).keep_alive(Duration::ZERO);
        let since = Instant::now();
        assert_eq!(next(&mut events), Some(Event::comment("")));
        assert!(since.elapsed() >= SLICE, "nothing is sent all the time");
        sender.send(Event::data("a")).expect("it is received");
        assert_eq!(next(&mut events), Some(Event::data("a")));
        drop(sender);
        assert_eq!(next(&mut events), None);
    }

    #[test]
    fn a_silent_channel_asks_whether_it_is_over() {
        let (_sender, receiver) = sync_channel(1);
        let mut asked = 0;
        let mut events = Events::received(receiver).end_when(move || {
            asked += 1;
            asked == 3
        });
        assert_eq!(next(&mut events), None);
    }

    #[test]
    fn what_is_over_gives_nothing_that_waits() {
        let (sender, receiver) = sync_channel(1);
        sender.send(Event::data("a")).expect("there is room");
        assert_eq!(
            next(&mut Events::received(receiver).end_when(|| true)),
            None
        );
        let mut events = Events::new([Event::data("a")]).end_when(|| true);
        assert_eq!(next(&mut events), None);
    }
}
