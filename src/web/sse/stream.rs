//! Reads events as the content of a response.

use std::io::{self, Read};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::{BlockingSource, Event, Options};
use crate::message::body::{Client, ClientGone, Presence, ReadWatching};

/// How often a stream with an empty channel checks `end_when` and its client. The server checks its
/// deadlines as often. It is also the minimum of [`Events::keep_alive`].
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Events, and the rest of the last event that was read.
pub(super) struct EventReader {
    source: BlockingSource,
    options: Options,
    /// Whether a client that has finished sending was sent a comment, which shows whether it is
    /// still there.
    has_probed: bool,
    bytes: Vec<u8>,
    read: usize,
}

impl ReadWatching for EventReader {
    fn read_watching(&mut self, buffer: &mut [u8], client: &dyn Client) -> io::Result<usize> {
        if self.read == self.bytes.len() {
            match self.next(client)? {
                Some(event) => (self.bytes, self.read) = (event.to_string().into_bytes(), 0),
                None => return Ok(0),
            }
        }
        let count = (&self.bytes[self.read..]).read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

impl EventReader {
    pub(super) fn new(source: BlockingSource, options: Options) -> Self {
        Self {
            source,
            options,
            has_probed: false,
            bytes: Vec::new(),
            read: 0,
        }
    }

    /// Waits for the next event, until a comment is due or the client is gone.
    fn next(&mut self, client: &dyn Client) -> Result<Option<Event>, ClientGone> {
        let since = Instant::now();
        loop {
            if self.options.is_over() {
                return Ok(None);
            }
            if let BlockingSource::Channel(receiver) = &mut self.source {
                match receiver.try_recv() {
                    Ok(event) => return Ok(Some(event)),
                    Err(TryRecvError::Disconnected) => return Ok(None),
                    Err(TryRecvError::Empty) => {}
                }
            }
            match client.presence() {
                Presence::Here => {}
                Presence::Gone => return Err(ClientGone),
                // The system shows nothing more about a client that has shut down its sending side
                // until something is sent to it.
                Presence::Finished if !self.has_probed => {
                    self.has_probed = true;
                    return Ok(Some(Event::comment("")));
                }
                Presence::Finished => {}
            }
            let receiver = match &mut self.source {
                BlockingSource::Iterator(events) => return Ok(events.next()),
                BlockingSource::Channel(receiver) => receiver,
            };
            let silent = self.options.keep_alive.saturating_sub(since.elapsed());
            match receiver.recv_timeout(silent.min(CHECK_INTERVAL)) {
                Ok(event) => return Ok(Some(event)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if CHECK_INTERVAL < silent => {}
                Err(RecvTimeoutError::Timeout) => return Ok(Some(Event::comment(""))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::message::body::UnknownClient;
    use crate::web::sse::{EventSource, Events};

    fn reader(events: Events) -> EventReader {
        match events.source {
            EventSource::Blocking(source) => EventReader::new(source, events.options),
            EventSource::Polled(_) => panic!("these events are polled"),
        }
    }

    fn next(events: &mut EventReader) -> Option<Event> {
        events.next(&UnknownClient).expect("the client is present")
    }

    /// A client that returns these presences, the last one first.
    struct Presences(Mutex<Vec<Presence>>);

    impl Client for Presences {
        fn presence(&self) -> Presence {
            let mut presences = self.0.lock().expect("no thread panics with the lock");
            presences.pop().expect("a presence is left")
        }
    }

    #[test]
    fn disconnected_client_ends_the_stream() {
        let (_sender, receiver) = sync_channel(1);
        let mut events = reader(Events::received(receiver));
        let presences = [Presence::Here, Presence::Here, Presence::Gone];
        let client = Presences(Mutex::new(presences.into_iter().rev().collect()));
        assert!(events.next(&client).is_err());
        let endless = std::iter::repeat_with(|| -> Event { panic!("next must not be called") });
        let client = Presences(Mutex::new(vec![Presence::Gone]));
        assert!(reader(Events::new(endless)).next(&client).is_err());
    }

    #[test]
    fn half_closed_client_receives_one_comment() {
        let (sender, receiver) = sync_channel(1);
        let mut events = reader(Events::received(receiver));
        let client = Presences(Mutex::new(vec![Presence::Finished; 2]));
        assert_eq!(events.next(&client).ok(), Some(Some(Event::comment(""))));
        sender.send(Event::data("a")).expect("the receiver is open");
        assert_eq!(events.next(&client).ok(), Some(Some(Event::data("a"))));
        drop(sender);
        assert_eq!(events.next(&client).ok(), Some(None));
    }

    #[test]
    fn events_can_be_read_in_pieces() {
        let mut stream = reader(Events::new(["a", "b"].map(Event::data)));
        let mut piece = [0; 5];
        assert_eq!(
            stream
                .read_watching(&mut piece, &UnknownClient)
                .expect("the events are in memory"),
            5
        );
        assert_eq!(&piece, b"data:");
        // A read returns bytes of one event only.
        let mut rest = [0; 100];
        assert_eq!(
            stream
                .read_watching(&mut rest, &UnknownClient)
                .expect("the events are in memory"),
            4
        );
        assert_eq!(
            stream
                .read_watching(&mut rest, &UnknownClient)
                .expect("the events are in memory"),
            9
        );
        assert_eq!(
            stream
                .read_watching(&mut rest, &UnknownClient)
                .expect("the events are in memory"),
            0
        );
    }

    #[test]
    fn silent_channel_sends_comments() {
        let (sender, receiver) = sync_channel(1);
        let mut events = reader(Events::received(receiver).keep_alive(Duration::ZERO));
        let since = Instant::now();
        assert_eq!(next(&mut events), Some(Event::comment("")));
        assert!(
            since.elapsed() >= CHECK_INTERVAL,
            "comments must not follow each other at once"
        );
        sender.send(Event::data("a")).expect("the receiver is open");
        assert_eq!(next(&mut events), Some(Event::data("a")));
        drop(sender);
        assert_eq!(next(&mut events), None);
    }

    #[test]
    fn silent_channel_checks_end_when() {
        let (_sender, receiver) = sync_channel(1);
        let mut calls = 0;
        let mut events = reader(Events::received(receiver).end_when(move || {
            calls += 1;
            calls == 3
        }));
        assert_eq!(next(&mut events), None);
    }

    #[test]
    fn end_when_drops_queued_events() {
        let (sender, receiver) = sync_channel(1);
        sender.send(Event::data("a")).expect("the channel has room");
        assert_eq!(
            next(&mut reader(Events::received(receiver).end_when(|| true))),
            None
        );
        let mut events = reader(Events::new([Event::data("a")]).end_when(|| true));
        assert_eq!(next(&mut events), None);
    }
}
